"""Finding runs: pages of a search, groups of what it finds, and what there is to search by."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.ports.database import Transaction
from loopline.usecases.tracking import finding_store, model, search, store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.completion import Suggestions, complete
from loopline.usecases.tracking.filters import Pieces, named, ordered, parsed
from loopline.usecases.tracking.finding_store import Group, Listed
from loopline.usecases.tracking.model import Page
from loopline.usecases.tracking.search import Found, Search

STATES = ("active", "archived", "deleted")
MOST_RUNS = 50_000
MOST_GROUPS = 500


class Finding(Base):
    """Searches read from indexes alone and see what was acknowledged."""

    def search(
        self,
        where: str = "",
        order_by: Sequence[str] = (),
        experiment: str = "",
        limit: int = 100,
        page: str = "",
        states: Sequence[str] = ("active",),
    ) -> Page:
        """`find` in the experiment of that name (in all when it is empty; an unknown one holds no run)."""
        experiments = None if not experiment else self._database.read(lambda tx: finding_store.numbered(tx, experiment))
        return self.find(where, order_by, experiments=experiments, states=states, limit=limit, page=page)

    def find(
        self,
        where: str = "",
        order_by: Sequence[str] = (),
        *,
        experiments: Sequence[int] | None = None,
        states: Sequence[str] = ("active",),
        limit: int = 100,
        page: str = "",
    ) -> Page:
        """Runs, newest first unless `order_by` says otherwise; `page` is what the page before called `next`.

        `where` is a chain of comparisons joined by AND, as `metrics.auc > 0.7 and params.model = 'tree'`; `order_by`
        is a list like `metrics.auc DESC`; `experiments` are numbers, None for all. A page goes on behind the last run of
        the page before, whatever came or went meanwhile. Raises Invalid with the place of a mistake.
        """

        def work(tx: Transaction) -> Page:
            numbers, following = self._numbers(tx, where, order_by, experiments, states, limit, page)
            return Page(store.of_numbers(tx, numbers), following)

        return self._database.read(work)

    def find_ids(
        self,
        where: str = "",
        order_by: Sequence[str] = (),
        *,
        experiments: Sequence[int] | None = None,
        states: Sequence[str] = ("active",),
        limit: int = 100,
        page: str = "",
    ) -> tuple[list[str], str]:
        """`find` for who needs no more than the ids of the runs, and the name of the next page."""

        def work(tx: Transaction) -> tuple[list[str], str]:
            numbers, following = self._numbers(tx, where, order_by, experiments, states, limit, page)
            return finding_store.ids(tx, numbers), following

        return self._database.read(work)

    def groups(
        self,
        by: str,
        where: str = "",
        *,
        metric: str = "",
        experiments: Sequence[int] | None = None,
        states: Sequence[str] = ("active",),
    ) -> list[Group]:
        """The runs of a search by the value of a param, tag or attribute (`params.model`), the largest group first: how
        many, and mean, least and largest of a metric's latest numbers. Raises Invalid when `by` names nothing such."""
        asked = Search(parsed(where), (), experiments, checked_states(states))
        pieces = Pieces(by, "grouping")
        entity, key = named(pieces)
        if (
            pieces.left()
            or entity in ("metrics", "datasets")
            or key in ("id", "started_at", "ended_at", "artifact_uri")
        ):
            raise Invalid(f"Runs cannot be grouped by {by[:80]!r}.", "Group them by params.NAME, tags.NAME or status.")
        return self._database.read(lambda tx: finding_store.groups(tx, asked, entity, key, metric, MOST_GROUPS))

    def names(self, experiments: Sequence[int] | None = None) -> dict[str, list[str]]:
        """Names of the metrics, params and tags of experiments (None for all): of all metrics, and of the params and
        tags of the newest runs."""
        return self._database.read(lambda tx: finding_store.names(tx, experiments))

    def complete(self, text: str, cursor: int, experiments: Sequence[int] | None = None) -> Suggestions:
        """What may come next in a filter at the cursor (a number of characters)."""
        model.checked_whole("place of the cursor", cursor, 0)
        today = self._clock.now()
        days = [(today - timedelta(days=back)).date().isoformat() for back in (0, 1, 7, 30)]
        return self._database.read(
            lambda tx: complete(text[:10_000], cursor, finding_store.Names(tx, experiments, days))
        )

    def listed_experiments(self, states: Sequence[str] = ("active",)) -> list[Listed]:
        """Experiments that have runs of these states or are in one of them, newest first."""
        states = checked_states(states)
        return self._database.read(lambda tx: finding_store.listed(tx, states))

    def experiment_numbers(self, names: Sequence[str]) -> list[int]:
        """The numbers of experiments; NotFound for a name that none has."""

        def work(tx: Transaction) -> list[int]:
            found = []
            for name in names:
                number = finding_store.numbered(tx, name)
                if not number:
                    raise NotFound(f"There is no experiment {name[:80]!r}.", "The page of runs lists them.")
                found += number
            return found

        return self._database.read(work)

    def _numbers(
        self,
        tx: Transaction,
        where: str,
        order_by: Sequence[str],
        experiments: Sequence[int] | None,
        states: Sequence[str],
        limit: int,
        page: str,
    ) -> tuple[list[int], str]:
        """Numbers of the runs of one page, and the name of the next."""
        model.checked_whole("number of runs a page", limit, 1, MOST_RUNS)
        asked = Search(parsed(where), ordered(order_by), experiments, checked_states(states))
        after = opened(page, asked) if page else None
        found = search.found(tx, asked, limit + 1, after)
        following = sealed(found[limit - 1], asked) if len(found) > limit else ""
        return [one.number for one in found[:limit]], following


def checked_states(states: Sequence[str]) -> Sequence[str]:
    """States in which a run may be, or Invalid."""
    for state in states:
        if state not in STATES:
            raise Invalid(f"A run is never {state[:40]!r}.", f"Use some of {', '.join(STATES)}.")
    return states


def sealed(last: Found, asked: Search) -> str:
    """The name of the page behind a run: its place in the order, and a digest of what was asked."""
    place = [hexed(value) for value in last.place]
    return urlsafe_b64encode(msgspec.json.encode([digest(asked), *place])).decode().rstrip("=")


def hexed(value: Any) -> Any:
    """A value that JSON carries without loss."""
    return {"f": value.hex()} if isinstance(value, float) else value


def opened(page: str, asked: Search) -> tuple[Any, ...]:
    """The place that a page goes on behind; Invalid for one that is no name of a page of this search."""
    try:
        known, *place = msgspec.json.decode(urlsafe_b64decode(page + "=" * (-len(page) % 4)))
        values = tuple(float.fromhex(one["f"]) if isinstance(one, dict) else one for one in place)
        fits = known == digest(asked) and all(isinstance(one, str | int | float) for one in values) and values
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError, binascii.Error, RecursionError, OverflowError):
        fits, values = None, ()
    if not fits:
        raise Invalid(f"{page[:40]!r} names no page of this search.", "Give what the page before called `next`.")
    return values


def digest(asked: Search) -> str:
    """Twelve digits that differ between searches."""
    from blake3 import blake3

    return str(blake3(repr(asked).encode("utf-8", "backslashreplace")).hexdigest())[:12]

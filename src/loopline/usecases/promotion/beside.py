"""Versions measured side by side, and what is asked of a process that may load models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid, LooplineError, NotFound, Unavailable
from loopline.core.ids import new_id
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.promotion import sides_store
from loopline.usecases.promotion.model.sides import Asked, Sides
from loopline.usecases.promotion.needs import Registry, Version

MOST_VERSIONS = 8
LOST = (
    "failed",
    '{"error":"unavailable","message":"The process that looked at the models ended.","hint":"Ask again."}',
)
MOST_OPEN = 50


class Beside:
    """Measures versions on the same rows; keeps questions for whoever may load models."""

    _database: Database
    _clock: Clock
    _registry: Registry

    def side_by_side(self, model: str, versions: Sequence[int], on: int = 0) -> Sides:
        """Scores, slices, calibration and latency of versions on the held-out rows of version `on` (0: the newest of
        them that has some). Loads the models, and keeps what it measured. NotFound, Invalid."""
        from loopline.usecases.promotion import siding

        found, source = self._chosen(model, versions, on)
        measured = siding.measured(self._registry, found, source, self._sliced_by(model, found), self._clock.text())
        self._database.write(lambda tx: sides_store.keep(tx, key_of(found, source), measured))
        return measured

    def sides(self, model: str, versions: Sequence[int], on: int = 0) -> Sides | None:
        """What `side_by_side` measured of just these bytes and rows, or None when it never did."""
        found, source = self._chosen(model, versions, on)
        return self._database.read(lambda tx: sides_store.kept(tx, key_of(found, source)))

    def measured(self, model: str, version: int) -> Sides | None:
        """The newest measurement in which a version took part, or None."""
        return self._database.read(lambda tx: sides_store.with_version(tx, model, version))

    def ask(self, verb: str, fields: Mapping[str, Any], caller: str, role: int) -> Asked:
        """Leave a question for a process that may load models; the same one is not asked twice at a time.

        Unavailable when too many wait.
        """
        text = msgspec.json.encode(dict(fields), order="sorted").decode()
        asked = Asked(
            id=new_id(), verb=verb, fields=text, caller=caller, role=role, state="open", answer="",
            asked_at=self._clock.text(),
        )  # fmt: skip
        return self._database.write(lambda tx: self._asked(tx, asked))

    def asked(self, request_id: str) -> Asked:
        """A question with its answer; NotFound."""
        found = self._database.read(lambda tx: sides_store.one(tx, request_id))
        if found is None:
            raise NotFound(f"There is no question {request_id[:40]!r}.", "Ask it again.")
        return found

    def last_asked(self, verb: str, fields: Mapping[str, Any]) -> Asked | None:
        """The last question of just this, or None."""
        text = msgspec.json.encode(dict(fields), order="sorted").decode()
        return self._database.read(lambda tx: sides_store.newest(tx, verb, text))

    def waiting(self) -> list[str]:
        """The ids of questions that nobody has answered, oldest first."""
        return [asked.id for asked in self._database.read(sides_store.opened)]

    def answer(self, perform: Callable[[str, Mapping[str, Any], str, int], Any]) -> int:
        """Answer all that waits by `perform(verb, fields, caller, role)`; answers how many. What fails is the answer, also
        when a process ended over it."""
        count = 0
        for asked in self._database.read(sides_store.opened):
            if not asked.answer:
                self._database.write(partial(sides_store.begin, request_id=asked.id))
            state, content = answered(perform, asked) if not asked.answer else LOST
            self._database.write(partial(sides_store.answer, request_id=asked.id, state=state, content=content))
            count += 1
        return count

    def _asked(self, tx: Transaction, asked: Asked) -> Asked:
        known = sides_store.same(tx, asked.verb, asked.fields)
        if known is not None and (known.caller, known.role) == (asked.caller, asked.role):
            return known
        if len(sides_store.opened(tx)) >= MOST_OPEN:
            raise Unavailable(f"{MOST_OPEN} models wait to be looked at already.", "Try again in a minute.")
        sides_store.ask(tx, asked)
        return asked

    def _chosen(self, model: str, versions: Sequence[int], on: int) -> tuple[list[Version], Version]:
        """The versions, and the one whose rows are used."""
        numbers = list(dict.fromkeys(versions))
        if not 1 <= len(numbers) <= MOST_VERSIONS:
            raise Invalid(f"{len(numbers)} versions cannot be put side by side.", f"Name 1 to {MOST_VERSIONS}.")
        found = [self._registry.version(model, number) for number in numbers]
        if on:
            return found, self._registry.version(model, on)
        for version in sorted(found, key=lambda one: one.version, reverse=True):
            if version.evaluation_digest:
                return found, version
        raise Conflict(
            f"None of these versions of {model!r} has held-out rows.", "Name a version that has some with --on."
        )

    def _sliced_by(self, model: str, versions: Sequence[Version]) -> list[str]:
        """The columns that the gates of the versions' aliases look at."""
        aliases = sorted({alias for version in versions for alias in version.aliases} | {"production"})
        return list(dict.fromkeys(rule.column for alias in aliases for rule in self.rules(model, alias).slices))

    def rules(self, model: str, alias: str) -> Any:
        """See Promotion."""
        raise NotImplementedError


def key_of(versions: Sequence[Version], source: Version) -> str:
    """The name of a measurement: the same for the same bytes of models and rows."""
    from blake3 import blake3

    names = [f"{one.model}/{one.version}/{one.digest}" for one in (*versions, source)]
    return str(blake3("\n".join([*names, source.evaluation_digest or ""]).encode()).hexdigest()[:32])


def answered(perform: Callable[[str, Mapping[str, Any], str, int], Any], asked: Asked) -> tuple[str, str]:
    """The state of a question after asking it, and the answer as JSON."""
    try:
        found = perform(asked.verb, msgspec.json.decode(asked.fields), asked.caller, asked.role)
        return "done", msgspec.json.encode(found).decode()
    except LooplineError as error:
        told = {"error": error.kind, "message": error.message, "hint": error.hint}
    except Exception as error:  # a model may fail in any way, and the next question is to be answered all the same
        told = {
            "error": "invalid",
            "message": f"It could not be done: {type(error).__name__}: {error}"[:400],
            "hint": "",
        }
    return "failed", msgspec.json.encode(told).decode()

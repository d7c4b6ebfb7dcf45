"""What is measured in a run comes in here: the hot path. Nothing of it is a fact; what a run ended with is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid, LooplineError
from loopline.ports.database import Transaction
from loopline.usecases.tracking import model, points, store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.model import Link, Point

_LINK = ("direction", "name", "digest", "kind")
MOST_KEYS = 100_000


class Batch(msgspec.Struct):
    """What is logged to one run at once; a `batch` id that came before changes nothing."""

    run_id: str
    metrics: list[Point] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    links: list[Link] = []
    batch: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """A batch that was not taken, by its place among those sent, and why."""

    place: int
    error: str
    message: str


class Intake(Base):
    """Metrics, params, tags, inputs and outputs; each call all or nothing."""

    def log(
        self,
        run_id: str,
        metrics: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        links: Sequence[Link] = (),
        batch: str = "",
    ) -> None:
        """Keep metrics, params, tags, inputs and outputs, all or nothing; a `batch` id that came before changes nothing.

        Raises NotFound for an unknown run, Conflict for a param that has another value already.
        """
        if len(metrics) > model.MOST_POINTS:
            raise Invalid(f"A batch of {len(metrics)} points is too large.", f"Send at most {model.MOST_POINTS}.")
        run_id = run_id if len(run_id) == 32 else self.resolved(run_id)
        self._database.write(self._work(run_id, metrics, params, tags, links, batch))

    def log_many(self, batches: Sequence[Batch], durable: bool = True) -> list[Refusal]:
        """Several batches in one transaction, each all or nothing by itself; answers those that were refused."""

        def work(tx: Transaction) -> list[Refusal]:
            refused = (self._tried(tx, place, one) for place, one in enumerate(batches))
            return [one for one in refused if one is not None]

        return self._database.write(work, durable)

    def _tried(self, tx: Transaction, place: int, one: Batch) -> Refusal | None:
        try:
            with tx.savepoint():
                self.log_in(tx, one.run_id, one.metrics, one.params, one.tags, one.links, one.batch)
        except LooplineError as error:
            return Refusal(place, error.kind, str(error))
        return None

    def log_in(
        self,
        tx: Transaction,
        run_id: str,
        metrics: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        links: Sequence[Link] = (),
        batch: str = "",
    ) -> None:
        """`log` inside a transaction that changes more."""
        self._work(run_id, metrics, params, tags, links, batch)(tx)

    def _work(
        self,
        run_id: str,
        metrics: Sequence[Point],
        params: Mapping[str, str] | None,
        tags: Mapping[str, str] | None,
        links: Sequence[Link],
        batch: str,
    ) -> Callable[[Transaction], None]:
        rows = self.rows(metrics)
        params = model.checked_texts("param", params or {})
        tags = model.checked_texts("tag", tags or {})
        return lambda tx: self._keep(tx, run_id, rows, params, tags, links, batch)

    def note_in(
        self, tx: Transaction, run_id: str, metrics: Mapping[str, float], links: Sequence[tuple[str, str, str, str]]
    ) -> None:
        """Final metrics and links, each as (direction, name, digest, kind), in a transaction that changes more."""
        points = [Point(key, value) for key, value in metrics.items()]
        self.log_in(
            tx, run_id, points, links=[msgspec.convert(dict(zip(_LINK, one, strict=True)), Link) for one in links]
        )

    def posted(
        self,
        run_id: str,
        rows: list[dict[str, Any]],
        params: Mapping[str, str],
        tags: Mapping[str, str],
        more: Callable[[Transaction], None] | None = None,
    ) -> Callable[[Transaction], None]:
        """The work of keeping what was checked already (`rows` as `rows()` answers them), for whoever hands it to the
        database without waiting; `more` is done in the same transaction."""
        known = {row["key"]: self._known(row["key"]) for row in rows}

        def work(tx: Transaction) -> None:
            self._keep(tx, run_id, rows, params, tags, known=known)
            if more is not None:
                more(tx)

        return work

    def rows(self, metrics: Iterable[Point]) -> list[dict[str, Any]]:
        """Points as rows that lack only the run; Invalid for a bad key, value, time or step."""
        now = round(self._clock.now().timestamp() * 1000)
        checked: set[str] = set()
        rows = []
        for point in metrics:
            if point.key not in checked:
                checked.add(model.checked_key("metric", point.key))
            at = now if point.at_ms is None else model.checked_whole("time of a point", point.at_ms, 0)
            model.checked_whole("step of a point", point.step)
            rows.append(row_of(point.key, model.number(point.value), point.step, at))
        return rows

    def _keep(
        self,
        tx: Transaction,
        run_id: str,
        rows: list[dict[str, Any]],
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        links: Sequence[Link] = (),
        batch: str = "",
        known: Mapping[str, int] | None = None,
    ) -> None:
        run = self._writable(tx, run_id)
        if batch and not store.new_batch(tx, batch, run_id, self._clock.text()):
            return
        if params:
            self._put_params(tx, run_id, run["number"], params)
        if tags:
            store.put_texts(tx, "tags", run["number"], tags)
            if tags.get(model.RUN_NAME):
                store.rename(tx, run["number"], tags[model.RUN_NAME][: model.LONGEST_KEY])
        if rows:
            self._put_points(tx, run["number"], run["experiment_id"], rows, known or {})
        if links:
            store.add_links(tx, run_id, links)

    def _put_points(
        self, tx: Transaction, run: int, experiment: int, rows: list[dict[str, Any]], known: Mapping[str, int]
    ) -> None:
        ids = points.key_ids(tx, {row["key"] for row in rows}, known)
        numbered = [{**row, "run": run, "key": ids[row["key"]]} for row in rows]
        last = [{**row, "experiment_id": experiment} for row in model.latest(numbered)]
        points.add(tx, numbered, last)

    def _put_params(self, tx: Transaction, run_id: str, run: int, params: Mapping[str, str]) -> None:
        known = store.some_params(tx, run, list(params))
        for key, value in params.items():
            if known.get(key, value) != value:
                raise Conflict(
                    f"Changing param values is not allowed. Param with key={key!r} was already logged with value="
                    f"{known[key][:80]!r} for run ID={run_id!r} and cannot become {value[:80]!r}.",
                    "A param is written once; use a tag or a new run.",
                )
        store.put_texts(tx, "params", run, {key: value for key, value in params.items() if key not in known})

    def _known(self, name: str) -> int:
        """The number of a metric's name when it is committed, else 0."""
        found = self._keys.get(name, 0)
        if not found:
            row = self._database.row("SELECT id FROM tracking_keys WHERE name = :name", {"name": name})
            if row is not None:
                if len(self._keys) >= MOST_KEYS:
                    self._keys.clear()
                found = self._keys[name] = int(row["id"])
        return found


def row_of(key: str, value: float, step: int, at_ms: int) -> dict[str, Any]:
    """A point as a row that lacks only the run; a value that is no number is kept as 0 and a mark."""
    is_nan = value != value
    return {"key": key, "at_ms": at_ms, "step": step, "value": 0.0 if is_nan else value, "is_nan": int(is_nan)}

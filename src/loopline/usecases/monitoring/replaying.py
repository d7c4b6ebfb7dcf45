"""The logs as they could have been seen then, with or without planted changes. Imports numpy and pyarrow when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid
from loopline.core.times import to_ms
from loopline.usecases.monitoring.model.budget.plants import Plant, in_predictions, in_truth
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.needs import Serving

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 2_000_000
UNIT_MS = 28 * 86_400_000


@dataclass(frozen=True)
class Unit:
    """A stretch of the log."""

    name: str
    first_ms: int
    end_ms: int
    rows: int
    files: str
    mark: str


class Replayed:
    """The logs of one endpoint, held in memory: rows of [since, until), the truth that was known when each window was
    judged, and plants in both. It is asked like `Serving`."""

    def __init__(
        self, serving: Serving, endpoint: str, config: MonitorConfig, wait_hours: float | None,
        since_ms: int | None = None, until_ms: int | None = None,
    ) -> None:  # fmt: skip
        import numpy as np

        from loopline.usecases.monitoring.model.arrays import milliseconds

        self._serving = serving
        table = serving.read_predictions(endpoint)
        if len(table) > MOST_ROWS:
            raise Invalid(
                f"Endpoint {endpoint!r} has {len(table):,} predictions, more than the {MOST_ROWS:,} that are replayed.",
                "Clear up its log, or replay an endpoint with fewer.",
            )
        events = _event_ms(table)
        chosen = np.ones(len(table), dtype=bool)
        chosen &= events >= since_ms if since_ms is not None else True
        chosen &= events < until_ms if until_ms is not None else True
        self._table, self._events = table.filter(chosen), events[chosen]
        self._asked = milliseconds(self._table["at"])
        truth = serving.read_truth(endpoint)
        told = _target_ms(truth, table, events)
        timely = _timely(truth, told, config, wait_hours)
        self._truth, self._told = truth.filter(timely), told[timely]

    def planted(self, plant: Plant) -> Replayed:
        """The same with one change."""
        at_ms = to_ms(plant.at)
        copy = object.__new__(Replayed)
        copy.__dict__ = self.__dict__ | {
            "_table": in_predictions(self._table, self._events, plant, at_ms),
            "_truth": in_truth(self._truth, self._told, plant, at_ms),
        }
        return copy

    def __len__(self) -> int:
        return len(self._table)

    def endpoints(self) -> Sequence[Any]:
        """None: only the one that is replayed is asked for."""
        return []

    def standing(self, tx: Any, endpoint: str) -> bool:
        """It is only read."""
        return True

    def log_mark(self, endpoint: str) -> str:
        """Always the same."""
        return "replayed"

    def log_days(self, endpoint: str, known: Sequence[Any] = ()) -> list[Unit]:
        """Units of four weeks: nothing comes to them later."""
        import numpy as np

        numbers, counts = np.unique(self._asked // UNIT_MS, return_counts=True)
        return [
            Unit(str(number), int(number) * UNIT_MS, (int(number) + 1) * UNIT_MS, int(count), "", str(count))
            for number, count in zip(numbers, counts, strict=True)
        ]

    def read_predictions(
        self, endpoint: str, since: str | None = None, until: str | None = None, by: str = "at",
        columns: Sequence[str] | None = None,
    ) -> pa.Table:  # fmt: skip
        """Rows as `Serving` answers them."""
        import numpy as np

        times = self._asked if by == "at" else self._events
        chosen = np.ones(len(times), dtype=bool)
        chosen &= times >= to_ms(since) if since is not None else True
        chosen &= times < to_ms(until) if until is not None else True
        found = self._table.filter(chosen)
        return found if columns is None else found.select([name for name in columns if name in found.column_names])

    def read_truth(self, endpoint: str, after: int = 0, most: int | None = None) -> pa.Table:
        """Truth as `Serving` answers it."""
        import pyarrow.compute as pc

        later = self._truth.filter(pc.field("seq") > after)
        return later if most is None else later.slice(0, most)

    def truth_mark(self, endpoint: str) -> str:
        """Always the same."""
        return "replayed"

    def times_of_ids(self, ids: pa.ChunkedArray) -> Any:
        """The moment in each id."""
        return self._serving.times_of_ids(ids)


def _event_ms(table: pa.Table) -> Any:
    import numpy as np

    from loopline.usecases.monitoring.model.arrays import NO_TIME, milliseconds

    times = milliseconds(table["event_time"])
    return np.where(times == NO_TIME, milliseconds(table["at"]), times)


def _target_ms(truth: pa.Table, predictions: pa.Table, events: Any) -> Any:
    """The event time that each record of truth speaks of; -1 where nothing has it."""
    import numpy as np
    import pyarrow.compute as pc

    from loopline.usecases.monitoring.model.arrays import NO_TIME, milliseconds

    place = pc.index_in(truth["prediction_id"], value_set=predictions["id"].combine_chunks(), skip_nulls=True)
    at = np.asarray(place.fill_null(-1).to_numpy(), dtype=np.int64)
    own = milliseconds(truth["event_time"])
    by_id = np.where(at >= 0, events[np.maximum(at, 0)] if len(events) else -1, -1)
    return np.where(own != NO_TIME, own, by_id)


def _timely(truth: pa.Table, told: Any, config: MonitorConfig, wait_hours: float | None) -> Any:
    """Which records had come when the window they speak of was judged."""
    import numpy as np

    from loopline.usecases.monitoring.model.arrays import NO_TIME, milliseconds, next_period, period_of

    if wait_hours is None or not len(truth):
        return np.ones(len(truth), dtype=bool)
    known = milliseconds(truth["observed_at"])
    known = np.where(known == NO_TIME, milliseconds(truth["received_at"]), known)
    starts, codes = np.unique(period_of(np.maximum(told, 0), config.window), return_inverse=True)
    ends = np.array([next_period(int(start), config.window) for start in starts], dtype=np.int64)
    return (told < 0) | (known <= ends[codes] + int(wait_hours * 3_600_000))

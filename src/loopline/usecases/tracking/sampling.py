"""A few points of many, evenly over what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loopline.usecases.tracking import points, store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.model import Measured, plain

if TYPE_CHECKING:
    from loopline.ports.database import Transaction
    from loopline.usecases.tracking.points import Series


class Sampling(Base):
    """Unlike `curve`, what is answered are points by their number, as MLflow's charts ask for them."""

    def points_of(self, run_id: str, key: str, limit: int, offset: int) -> list[Measured]:
        """Points of a metric by (time, step, value); none of an unknown run or metric."""

        def work(tx: Transaction) -> list[Measured]:
            return points.history(tx, store.number_of(tx, run_id), key, limit, offset, by_step=False)

        return self._database.read(work)

    def sampled(
        self, run_ids: Sequence[str], key: str, most: int, first: int | None = None, last: int | None = None
    ) -> list[tuple[str, list[Measured]]]:
        """Of each run at most so many points of a metric by (step, time, value), from step `first` to `last`: the first
        of each of `most` equally long stretches, and the very last. Empty for an unknown run or metric."""

        def work(tx: Transaction) -> list[tuple[str, list[Measured]]]:
            number = points.known_key(tx, key)
            found = ((run_id, points.series(tx, store.number_of(tx, run_id), number)) for run_id in run_ids)
            return [(run_id, chosen(series, most, first, last)) for run_id, series in found]

        return self._database.read(work)


def chosen(series: Series, most: int, first: int | None, last: int | None) -> list[Measured]:
    """The points of a series that stand for it."""
    import numpy as np

    order = np.lexsort((series.values, series.at_ms, series.steps))
    if first is not None and last is not None:
        steps = series.steps[order]
        order = order[(steps >= first) & (steps <= last)]
    places = order[stretches(len(order), most)]
    columns: list[Any] = [column[places].tolist() for column in (series.steps, series.at_ms, series.values)]
    return [Measured(step, at, plain(value)) for step, at, value in zip(*columns, strict=True)]


def stretches(count: int, most: int) -> Any:
    """Where each of at most `most` stretches of `count` points begins, the longer ones first; the last place is always
    among them."""
    import numpy as np

    if count <= most:
        return np.arange(count)
    size, longer = divmod(count, most)
    number = np.arange(most)
    places = number * size + np.minimum(number, longer)
    places[-1] = count - 1
    return places

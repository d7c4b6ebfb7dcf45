"""Metrics as curves that a screen can hold."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.core.times import to_ms
from loopline.ports.database import Transaction
from loopline.usecases.tracking import curves, model, store
from loopline.usecases.tracking import points as points_of_runs
from loopline.usecases.tracking.looking import Looking
from loopline.usecases.tracking.points import Series
from loopline.usecases.tracking.recent import Recent

Axis = Literal["step", "time", "relative"]
Best = Literal["", "lowest", "highest"]
MOST_POINTS = 20_000
MOST_CURVES = 1_000
MOST_ALTOGETHER = 400_000
MOST_READ = 100_000_000  # points behind the curves of one answer: several seconds of reading


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of a run over `x`: steps, milliseconds since 1970 UTC, or seconds since the run began.

    `count` is the number of all its points, which lie between `first` and `last`; `points` are those that draw the
    asked range as all would, [x, y] by x, y is null where a value is no number. `smoothed` is the same of the average.
    """

    run_id: str
    key: str
    x: Axis
    count: int
    first: float | None
    last: float | None
    points: list[tuple[float, float | None]]
    smoothed: list[tuple[float, float | None]] = []


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How a curve is wanted; `smooth` is the weight of what went before, `best` draws the best value so far."""

    x: Axis = "step"
    first: float | None = None
    last: float | None = None
    points: int = 1000
    smooth: float = 0.0
    best: Best = ""


class Drawing(Looking):
    """Curves of runs, thinned so that no extreme is lost."""

    def curve(
        self,
        run_id: str,
        key: str,
        *,
        x: Axis = "step",
        first: float | None = None,
        last: float | None = None,
        points: int = 1000,
        smooth: float = 0.0,
        best: Best = "",
    ) -> Curve:
        """One metric of one run in at most `points` points, from `first` to `last` on the axis `x`.

        `smooth` (0 to below 1) adds an exponential moving average, as `curves.smoothed` tells it. Raises NotFound for an
        unknown run or a metric that it has not.
        """
        asked = checked(Asked(x=x, first=first, last=last, points=points, smooth=smooth, best=best))
        run = self.get(run_id)
        found = drawn(run, key, self._columns(run.id, key), asked)
        if not found.count:
            raise NotFound(
                f"The run {run.id[:8]} has no metric {key[:80]!r}.", "`loopline show RUN` lists its metrics."
            )
        return found

    def curves(self, runs: Sequence[str], keys: Sequence[str], asked: Asked) -> list[Curve]:
        """Several metrics of several runs, run by run; those that a run has not are left out."""
        if len(runs) * len(keys) > MOST_CURVES:
            raise Invalid(f"{len(runs) * len(keys)} curves are too many.", f"Ask for at most {MOST_CURVES} at once.")
        most = max(curves.FEWEST, min(asked.points, MOST_ALTOGETHER // max(1, len(runs) * len(keys))))
        asked = msgspec.structs.replace(checked(asked), points=most)
        found: list[Curve] = []
        for run in map(self.get, runs):
            for key in (one for one in keys if one in run.metrics):
                found.append(drawn(run, key, self._columns(run.id, key), asked))
                if sum(curve.count for curve in found) > MOST_READ:
                    raise Invalid(f"More than {MOST_READ} points lie behind these curves.", "Ask for fewer at once.")
        return [curve for curve in found if curve.count]

    def drawable(self, run_id: str) -> list[str]:
        """Names of the metrics that have more than one point; NotFound for an unknown run."""
        number = self._database.read(lambda tx: store.number_of(tx, self._resolved(tx, run_id)))
        return self._database.read(lambda tx: points_of_runs.several(tx, number))

    def _columns(self, run_id: str, key: str) -> Series:
        """All points of a metric; when very many lie loose, as while a long run goes on, they are packed first, as a
        reader comes again and again and loose ones take twenty times as long."""

        def full(tx: Transaction) -> bool:
            number = store.number_of(tx, run_id)
            return points_of_runs.loose_points(tx, number, points_of_runs.known_key(tx, key)) >= points_of_runs.BLOCK

        if self._database.read(full):
            self.pack(run_id)
        return self._database.read(lambda tx: self._all_points(tx, run_id, key))

    def _all_points(self, tx: Transaction, run_id: str, key: str) -> Series:
        place = (store.number_of(tx, run_id), points_of_runs.known_key(tx, key))
        stamp = points_of_runs.blocks_of(tx, *place)
        packed = self._recent.get(place, stamp)
        if packed is None:
            packed = points_of_runs.in_blocks(tx, *place)
            if stamp[0]:
                self._recent.put(place, stamp, packed)
        return points_of_runs.series(tx, *place, packed)

    @functools.cached_property
    def _recent(self) -> Recent:
        return Recent()


def checked(asked: Asked) -> Asked:
    """What can be drawn, or Invalid."""
    model.checked_whole("number of points of a curve", asked.points, curves.FEWEST, MOST_POINTS)
    if not 0 <= asked.smooth < 1:
        raise Invalid(f"{asked.smooth} cannot be the weight of the smoothing.", "Give a number from 0 to below 1.")
    return asked


def drawn(run: model.Run, key: str, series: Series, asked: Asked) -> Curve:
    """The curve of a series."""
    import numpy as np

    x, y = ordered(along(run, series, asked.x), series.values)
    if asked.best:
        y = curves.best_so_far(y, asked.best == "lowest")
    mean = curves.smoothed(y, asked.smooth) if asked.smooth else None
    part = curves.within(x, asked.first, asked.last)
    whole = (float(x[0]), float(x[-1])) if len(x) else (None, None)
    return Curve(
        run_id=run.id,
        key=key,
        x=asked.x,
        count=len(x),
        first=whole[0],
        last=whole[1],
        points=pairs(x[part], y[part], asked.points),
        smoothed=[] if mean is None or not np.isfinite(mean).any() else pairs(x[part], mean[part], asked.points),
    )


def along(run: model.Run, series: Series, axis: Axis) -> Any:
    """Where each point lies on the axis, float64[]."""
    if axis == "step":
        return series.steps.astype("float64")
    if axis == "time" or not len(series.at_ms):
        return series.at_ms.astype("float64")
    return (series.at_ms - min(to_ms(run.started_at), int(series.at_ms.min()))) / 1000


def ordered(x: Any, y: Any) -> tuple[Any, Any]:
    """Both in the order of x; equal ones keep their order."""
    import numpy as np

    if (x[1:] >= x[:-1]).all():
        return x, y
    order = np.argsort(x, kind="stable")
    return x[order], y[order]


def pairs(x: Any, y: Any, points: int) -> list[tuple[float, float | None]]:
    """At most `points` points as plain numbers."""
    import numpy as np

    if not len(x):
        return []
    kept = curves.thinned(x, y, points)
    values = y[kept]
    told = [value if fine else None for value, fine in zip(values.tolist(), np.isfinite(values).tolist(), strict=True)]
    return list(zip(x[kept].tolist(), told, strict=True))

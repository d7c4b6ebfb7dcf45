"""Counts of numbers that add up exactly. Imports numpy: import it only where profiles are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid
from loopline.core.tables import Column
from loopline.usecases.monitoring.model import cells, distinct
from loopline.usecases.monitoring.model.arrays import floats_of, moments_of
from loopline.usecases.monitoring.model.cells import Grid
from loopline.usecases.monitoring.model.limits import Limits, kept, together
from loopline.usecases.monitoring.model.profile import NumericColumn

Floats = NDArray[np.float64]
STEPS = 2.0**20
MILLISECONDS = Grid(0.0, 1.0, -10)  # of latency: the same everywhere, so that it always adds up
SHARES = Grid(0.0, 1.0, -9)  # of scores between 0 and 1
MOST_FEW = 8_192
_CHUNK = 65_536
_EXACT = 2.0**52
_LARGEST = float(np.finfo(np.float64).max)


class NumericCounts:
    """A numeric column as it is counted, batch by batch.

    `grid` is fixed, or taken from the first batch that holds a number; with `guess`, numbers between 0 and 1 are taken for
    scores and get a grid of their own. Values are divided by `unit` first.
    """

    def __init__(
        self, column: Column, limits: Limits, grid: Grid | None = None, guess: bool = False, unit: float = 1.0
    ) -> None:
        self._column, self._limits, self._grid, self._guess, self._unit = column, limits, grid, guess, unit
        self._sketch = distinct.sketch() if column.type == "integer" and distinct.possible() else None
        self._counts: NDArray[np.int64] | None = None  # of all cells, once there are many rows
        self._few: list[NDArray[np.uint16]] = []
        self._rows = self._missing = self._infinite = self._outside = self._units = 0
        self._low, self._high = np.inf, -np.inf

    def add(self, column: Any) -> None:
        """Count an Arrow column. Invalid when it holds no numbers."""
        values = moments_of(column) if self._column.type == "timestamp" else floats_of(column)
        values = values if self._unit == 1.0 else values / self._unit
        finite, missing = _finite(values)
        self._rows += len(values)
        self._missing += missing
        self._infinite += len(values) - len(finite) - missing
        self._outside += len(values) - len(finite) - (missing if self._column.nullable else 0)
        if len(finite) == 0:
            return
        low, high = float(finite.min()), float(finite.max())
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._grid = self._grid or self._first(finite, low, high)
        self._outside += _beyond(finite, low, high, self._limits)
        self._count(finite, self._grid)
        if self._sketch is not None:
            _note(self._sketch, column, finite)

    def finish(self) -> NumericColumn:
        """The column of all batches so far."""
        grid = self._grid or Grid()
        seen = self._rows - self._missing - self._infinite
        return NumericColumn(
            name=self._column.name,
            rows=self._rows,
            missing=self._missing,
            infinite=self._infinite,
            centre=grid.centre,
            scale=grid.scale,
            low=self._low if seen else None,
            high=self._high if seen else None,
            total=total_of(seen, self._units, grid.centre, grid.scale),
            cells=self._packed(grid.floor),
            units=str(self._units),
            outside=self._outside,
            distinct=b"" if self._sketch is None else distinct.kept(self._sketch),
            limits=kept(self._limits),
        )

    def _first(self, finite: Floats, low: float, high: float) -> Grid:
        return SHARES if self._guess and low >= 0 and high <= 1 else cells.fitted(finite)

    def _count(self, finite: Floats, grid: Grid) -> None:
        with np.errstate(over="ignore"):
            reach = max(abs(self._low - grid.centre), abs(self._high - grid.centre)) / grid.scale
        for start in range(0, len(finite), _CHUNK):
            with np.errstate(over="ignore"):
                scaled = (finite[start : start + _CHUNK] - grid.centre) / grid.scale
            self._few.append(cells.numbers_scaled(scaled))
            self._units += _units(scaled, reach)
            if self._counts is not None or sum(map(len, self._few)) > MOST_FEW:
                self._counts = self._all()
                self._few = []

    def _all(self) -> NDArray[np.int64]:
        counts = np.bincount(np.concatenate(self._few), minlength=cells.CELLS)
        return counts if self._counts is None else counts + self._counts

    def _packed(self, floor: int) -> bytes:
        if self._counts is not None:
            return cells.packed(self._counts, floor)
        numbers = np.concatenate(self._few) if self._few else np.zeros(0, dtype=np.uint16)
        found, counts = np.unique(numbers, return_counts=True)
        return cells.packed_few(found.astype(np.int64), counts.astype(np.int64), floor)


def merged(columns: Sequence[NumericColumn]) -> NumericColumn:
    """All of them together. Invalid when their cells differ; one that holds no number takes those of the others."""
    name = columns[0].name
    grids = {grid_of(column) for column in columns if column.finite} or {max(map(grid_of, columns))}
    if len(grids) > 1:
        raise Invalid(f"The cells of {name!r} differ in these profiles.", "Profile both like the first.")
    grid = next(iter(grids))
    known = all(column.units for column in columns)
    units = sum(int(column.units) for column in columns) if known else 0
    seen = sum(column.finite for column in columns)
    sketches = [column.distinct for column in columns if column.distinct]
    return NumericColumn(
        name=name,
        rows=sum(column.rows for column in columns),
        missing=sum(column.missing for column in columns),
        infinite=sum(column.infinite for column in columns),
        centre=grid.centre,
        scale=grid.scale,
        low=min((column.low for column in columns if column.low is not None), default=None),
        high=max((column.high for column in columns if column.high is not None), default=None),
        total=total_of(seen, units, *grid[:2]) if known else math.fsum(column.total for column in columns),
        cells=cells.added([column.cells for column in columns], grid.floor),
        units=str(units) if known else "",
        outside=sum(column.outside for column in columns),
        distinct=distinct.together(*sketches) if sketches else b"",
        limits=together(column.limits for column in columns),
    )


def grid_of(column: NumericColumn) -> Grid:
    """Where its cells lie."""
    return Grid(column.centre, column.scale, cells.floor_and_level(column.cells)[0])


def total_of(rows: int, units: int, centre: float, scale: float) -> float:
    """The sum of `rows` values whose scaled distances from the centre sum to `units` steps."""
    steps = units / int(STEPS) if abs(units) < 1 << 1000 else float(np.sign(units)) * _LARGEST
    with np.errstate(over="ignore"):
        return float(np.clip(np.float64(rows) * centre + np.float64(steps) * scale, -_LARGEST, _LARGEST))


def _finite(values: Floats) -> tuple[Floats, int]:
    """The finite values, and how many are no number."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return values, 0
    finite = values[np.isfinite(values)]
    return finite, int(np.isnan(values).sum()) if len(finite) < len(values) else 0


def _beyond(finite: Floats, low: float, high: float, limits: Limits) -> int:
    found = 0
    if limits.minimum is not None and low < limits.minimum:
        found += int((finite < limits.minimum).sum())
    if limits.maximum is not None and high > limits.maximum:
        found += int((finite > limits.maximum).sum())
    return found


def _units(scaled: Floats, reach: float) -> int:
    """The exact sum of the values in whole steps. A sum of whole numbers that stays below 2^53 is exact in any order."""
    if reach * STEPS * len(scaled) < _EXACT:
        return int(np.rint(scaled * STEPS).sum())
    bounded = np.clip(scaled, -1e280, 1e280) * STEPS
    small = np.abs(bounded) < _EXACT / _CHUNK
    return int(np.rint(bounded[small]).sum()) + sum(map(int, np.rint(bounded[~small]).tolist()))


def _note(sketch: Any, column: Any, finite: Floats) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type):
        column = pa.array(finite[np.abs(finite) < 2.0**63].astype(np.int64))
    for value in pc.unique(column.cast("int64", safe=False).drop_null()).to_pylist():
        sketch.update(value)

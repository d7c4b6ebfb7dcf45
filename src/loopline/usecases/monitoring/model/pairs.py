"""Pairs that matter, as small tables that add up: scores beside labels, scores beside segments. Imports numpy.

A pair has at most 64 columns of score and 32 rows of values. Columns are fixed by a grid: 64 equal bins between 0 and 1 for
probabilities; else 62 bins an eighth of a scale wide around the centre, and one open at each end. Values beyond the 32
most frequent are added up in one more row, which is exact; of which values it is made depends on what came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.model.cells import Grid, fitted
from loopline.usecases.monitoring.model.numbers import SHARES
from loopline.usecases.monitoring.model.texts import named

BINS = 64
MOST_VALUES = 32
Counts = NDArray[np.int64]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of (bin of the score, value). `edges` of bin b are low + b * width and low + (b + 1) * width; the first and
    last bin of what is no probability are open. `values[v]` has BINS counts; `missing[b]` those of rows without a value,
    `others[b]` those of values that are not listed. Rows without a score count in `unscored`.
    """

    low: float
    width: float
    values: dict[str, list[int]]
    others: list[int]
    missing: list[int]
    unscored: int = 0

    @property
    def rows(self) -> int:
        """All rows that were counted."""
        return self.unscored + sum(map(sum, (*self.values.values(), self.others, self.missing)))

    def table(self) -> Counts:
        """Counts of shape (values + others, BINS), in the order of `values`."""
        return np.array([*self.values.values(), self.others], dtype=np.int64)


def pair(scores: NDArray[np.float64], values: Any, grid: Grid | None = None, like: Pair | None = None) -> Pair:
    """Count scores (NaN where there is none) beside values: an Arrow column, whose null is `missing`.

    Bins are those of `like`, else of `grid` (`numbers.grid_of` the profiled prediction); without either, of the scores. Whole floats (labels) are named without a point.
    """
    low, width = (like.low, like.width) if like is not None else bins_of(scores, grid)
    with np.errstate(over="ignore"):
        place = np.clip(np.floor((np.nan_to_num(scores) - low) / width), 0, BINS - 1).astype(np.int64)
    codes, names = _coded(values)
    known = ~np.isnan(scores)
    flat = np.bincount(codes[known] * BINS + place[known], minlength=(len(names) + 1) * BINS)
    counts = flat.reshape(len(names) + 1, BINS)
    found = {name: row for name, row in zip(names, counts[1:].tolist(), strict=True) if any(row)}
    return _folded(low, width, found, [0] * BINS, counts[0].tolist(), int((~known).sum()))


def merged(one: Pair, other: Pair) -> Pair:
    """Both together. Invalid when their bins differ."""
    if (one.low, one.width) != (other.low, other.width):
        raise Invalid("These pairs have different bins and cannot be added up.", "Count both like the first.")
    values = dict(one.values)
    for name, row in other.values.items():
        values[name] = _sum(values[name], row) if name in values else row
    return _folded(
        one.low,
        one.width,
        values,
        _sum(one.others, other.others),
        _sum(one.missing, other.missing),
        one.unscored + other.unscored,
    )


def bins_of(scores: NDArray[np.float64], grid: Grid | None = None) -> tuple[float, float]:
    """(low, width) of the bins on a grid; without one, for scores like these."""
    if grid is None:
        known = scores[np.isfinite(scores)]
        share = len(known) == 0 or (known.min() >= 0 and known.max() <= 1)
        grid = SHARES if share else fitted(known)
    if grid == SHARES:
        return 0.0, 1 / BINS
    return grid.centre - BINS / 2 * grid.scale / 8, grid.scale / 8


def _coded(values: Any) -> tuple[Counts, list[str]]:
    """(0 for missing, else 1 + place of the value's name; the names)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    plain = [_name(value) for value in encoded.dictionary.to_pylist()]
    names = sorted({name for name in plain if name is not None})
    places = np.array([0 if name is None else 1 + names.index(name) for name in plain] + [0], dtype=np.int64)
    return places[encoded.indices.fill_null(len(plain)).to_numpy(zero_copy_only=False).astype(np.int64)], names


def _name(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    return named(f"{value:.12g}" if isinstance(value, float) else str(value))


def _folded(
    low: float, width: float, values: dict[str, list[int]], others: list[int], missing: list[int], unscored: int
) -> Pair:
    ranked = sorted(values, key=lambda name: (-sum(values[name]), name))
    for name in ranked[MOST_VALUES:]:
        others = _sum(others, values[name])
    kept = {name: values[name] for name in ranked[:MOST_VALUES]}
    return Pair(low=low, width=width, values=kept, others=others, missing=missing, unscored=unscored)


def _sum(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]

"""How far a current profile lies from a reference, in several statistics, and whether that is more than usual.

Imports numpy: import this module only where profiles are compared. Statistics of a numeric column: `missing` (difference
of shares), `rank_mean` (P(now > then) + P(equal)/2 - 1/2), `rank_spread` (mean distance of now's ranks from the middle,
relative; > 0 is wider), `ks` (largest difference of the distribution functions), `wasserstein` (mean distance to move a
value, in the column's units). Of a categorical one: `missing`, `total_variation`, `cohen_w` (root of the sum of
squared differences of shares over the reference's shares), `new` (share of values never seen, less what Good and Turing expect).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.arrays import floats_of
from loopline.usecases.monitoring.model.cells import CELLS, cell_numbers, cell_values, side_by_side, unpacked
from loopline.usecases.monitoring.model.profile import CategoricalColumn, NumericColumn, ProfiledColumn

Counts = NDArray[Any]
Distances = dict[str, NDArray[np.float64]]


def numeric_distances(then: Counts, now: Counts, values: Counts) -> Distances:
    """Statistics of K cells with increasing `values`; `then` and `now` are counts of shape (P, K) or (1, K)."""
    before = then / np.maximum(then.sum(axis=1, keepdims=True), 1)
    after = now / np.maximum(now.sum(axis=1, keepdims=True), 1)
    lower = np.cumsum(before, axis=1)
    gap = np.abs(lower - np.cumsum(after, axis=1))
    ranks = lower - before / 2
    apart = np.abs(ranks - 0.5)
    usual_spread = np.maximum((before * apart).sum(axis=1), 1e-12)
    return {
        "rank_mean": (after * ranks).sum(axis=1) - 0.5 * (after.sum(axis=1) > 0),
        "rank_spread": (after * apart).sum(axis=1) / usual_spread - 1.0 * (after.sum(axis=1) > 0),
        "ks": gap.max(axis=1, initial=0.0),
        "wasserstein": (gap[:, :-1] * np.diff(values)).sum(axis=1),
    }


def categorical_distances(then: Counts, now: Counts) -> Distances:
    """Statistics of K values (the union of both); counts of shape (P, K) or (1, K)."""
    total = np.maximum(then.sum(axis=1, keepdims=True), 1)
    before, after = then / total, now / np.maximum(now.sum(axis=1, keepdims=True), 1)
    known = before > 0
    squares = np.where(known, (after - before) ** 2 / np.where(known, before, 1), 0)
    expected = (then == 1).sum(axis=1) / total[:, 0]
    return {
        "total_variation": np.abs(after - before).sum(axis=1) / 2,
        "cohen_w": np.sqrt(squares.sum(axis=1)),
        "new": np.where(known, 0, after).sum(axis=1) - expected,
    }


def chance(column: ProfiledColumn) -> dict[str, float]:
    """Mean square of each statistic times the number of rows, for independent rows of the reference's own law."""
    share = column.missing / max(column.rows, 1)
    found = {"missing": share * (1 - share)}
    if isinstance(column, NumericColumn):
        cells, counts = unpacked(column.cells)
        lower = np.cumsum(counts) / max(counts.sum(), 1)
        width = np.diff(cell_values(cells, column.centre, column.scale))
        wasserstein = 2 / np.pi * float((np.sqrt(lower[:-1] * (1 - lower[:-1])) * width).sum()) ** 2
        # KS: pi^2 / 12 is the mean square of Kolmogorov's law.
        return found | {"rank_mean": 1 / 12, "rank_spread": 1 / 3, "ks": np.pi**2 / 12, "wasserstein": wasserstein}
    shares = np.array(list(column.values.values()), dtype=float) / max(column.rows - column.missing, 1)
    seen_once = float((np.array(list(column.values.values())) == 1).sum()) / max(column.rows - column.missing, 1)
    variation = float(np.sqrt(2 / np.pi * shares * (1 - shares)).sum() / 2) ** 2
    return found | {
        "total_variation": variation,
        "cohen_w": float(max(len(shares) - 1, 1)),
        "new": seen_once * (1 - seen_once),
    }


def distances_by_period(rows: Any, column: ProfiledColumn, codes: Counts, periods: int) -> Distances:
    """Each period of the reference against all its others: one value a period for each statistic."""
    if isinstance(column, NumericColumn):
        values = floats_of(rows)
        finite, lost = np.isfinite(values), np.isnan(values)
        cells, dense = _dense(values[finite], column)
        now = _table(codes[finite], dense, periods, max(len(cells), 1))
        middles = cell_values(cells, column.centre, column.scale) if len(cells) else np.zeros(1)
        found = numeric_distances(now.sum(axis=0) - now, now, middles)
    else:
        encoded = rows.cast("string").combine_chunks().dictionary_encode()
        lost = np.asarray(encoded.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        place = {name: at for at, name in enumerate(column.values)}
        known = np.array([place.get(name, len(place)) for name in encoded.dictionary.to_pylist()] or [0])
        dense = known[np.asarray(encoded.indices.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)]
        now = _table(codes[~lost], dense[~lost], periods, len(place) + 1)
        found = categorical_distances(now.sum(axis=0) - now, now)
    sizes, gone = np.bincount(codes, minlength=periods), np.bincount(codes[lost], minlength=periods)
    others = np.maximum(sizes.sum() - sizes, 1)
    return {"missing": gone / np.maximum(sizes, 1) - (gone.sum() - gone) / others} | found


def distances(then: ProfiledColumn, now: ProfiledColumn) -> dict[str, float]:
    """All statistics of one column of the current profile against the reference."""
    missing = now.missing / max(now.rows, 1) - then.missing / max(then.rows, 1)
    if isinstance(then, NumericColumn) and isinstance(now, NumericColumn):
        values, before, after = aligned(then, now)
        found = numeric_distances(before[None, :], after[None, :], values)
    elif isinstance(then, CategoricalColumn) and isinstance(now, CategoricalColumn):
        _, before, after = aligned_values(then, now)
        found = categorical_distances(before[None, :], after[None, :])
    else:
        return {"missing": missing}
    return {"missing": missing} | {name: float(value[0]) for name, value in found.items()}


def aligned(then: NumericColumn, now: NumericColumn) -> tuple[Counts, Counts, Counts]:
    """(cell values, counts then, counts now) over the cells that either has."""
    cells, table = side_by_side(then.cells, now.cells)
    if len(cells) == 0:
        return np.zeros(1), np.zeros(1), np.zeros(1)
    return cell_values(cells, then.centre, then.scale), table[0].astype(float), table[1].astype(float)


def aligned_values(then: CategoricalColumn, now: CategoricalColumn) -> tuple[list[str], Counts, Counts]:
    """(values, counts then, counts now) over the values that either has; folded ones count as one value ''.

    Where the reference had to fold values, one that it does not list may be among them: it counts as folded too.
    """
    unseen = {name: count for name, count in now.values.items() if name not in then.values}
    listed = [] if then.folded else list(unseen)
    names = [*then.values, *listed]
    others = now.others + (sum(unseen.values()) if then.folded else 0)
    before = np.array([then.values.get(name, 0) for name in names] + [then.others], dtype=float)
    after = np.array([now.values.get(name, 0) for name in names] + [others], dtype=float)
    return [*names, ""], before, after


def quantiles(column: NumericColumn, levels: tuple[float, ...]) -> list[float] | None:
    """Values below which the shares `levels` of the finite rows lie (to the width of a cell); None without rows."""
    cells, counts = unpacked(column.cells)
    if len(cells) == 0:
        return None
    reached = np.searchsorted(np.cumsum(counts), np.array(levels) * counts.sum(), side="left")
    values = cell_values(cells, column.centre, column.scale)[np.minimum(reached, len(cells) - 1)]
    return [float(value) for value in np.clip(values, column.low, column.high)]


def _dense(values: Counts, column: NumericColumn) -> tuple[Counts, Counts]:
    """The cells that occur, and each row's place among them."""
    numbers = cell_numbers(values, column.centre, column.scale)
    cells = np.flatnonzero(np.bincount(numbers, minlength=CELLS))
    place = np.zeros(CELLS, dtype=np.int64)
    place[cells] = np.arange(len(cells))
    return cells, place[numbers]


def _table(codes: Counts, dense: Counts, periods: int, width: int) -> Counts:
    return np.bincount(codes * width + dense, minlength=periods * width).reshape(periods, width).astype(float)

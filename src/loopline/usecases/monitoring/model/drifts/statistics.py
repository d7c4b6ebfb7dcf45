"""How far a current column lies from a reference, in several statistics. All from profiles. Imports numpy.

Of a numeric column: `missing` (difference of shares), `rank_mean` (P(now > then) + P(equal)/2 - 1/2: Wilcoxon 1945),
`rank_spread` (difference of the mean squared normal scores of the reference's ranks, > 0 is wider: Klotz 1962), `ks` (largest
difference of the distribution functions), `chi_square` (root of the sum of squared differences of shares over the
reference's shares, Cohen's w, in 16 parts with equal shares), `wasserstein` (mean distance to move a value, in the
column's units), `outside` (difference of the shares beyond the outermost 1/2000 of the reference on each side).
Of a categorical one: `missing`, `chi_square` (values with small shares counted as one), `total_variation`, `new` (share of
values never seen, less the share that Good (1953) and Turing expect).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.kit.tails import normal_quantile
from loopline.usecases.monitoring.model.arrays import floats_of
from loopline.usecases.monitoring.model.cells import CELLS, cell_numbers, cell_values, side_by_side, unpacked
from loopline.usecases.monitoring.model.profile import CategoricalColumn, NumericColumn, ProfiledColumn

Counts = NDArray[Any]
Floats = NDArray[np.float64]
Distances = dict[str, Floats]
PARTS = 16
EDGE = 1 / 2000
RARE = 0.005
MOST_CELLS = 2048
SIGNED = frozenset({"missing", "rank_mean", "rank_spread", "outside", "new"})
SHARES = frozenset({"missing", "outside", "new"})


class Ranks:
    """What of the reference the statistics of a numeric column need: K cells with increasing values and their counts."""

    def __init__(self, counts: Counts, values: Floats) -> None:
        shares = counts / max(counts.sum(), 1)
        reached = np.cumsum(shares)
        self.values = values
        self.ends = (reached <= EDGE + 1e-12) | (reached - shares >= 1 - EDGE - 1e-12)
        self.parts = np.clip((PARTS * (reached - shares / 2)).astype(np.int64), 0, PARTS - 1)

    def distances(self, then: Counts, now: Counts) -> Distances:
        """Statistics of P pairs of rows: counts of shape (P, K)."""
        before = then / np.maximum(then.sum(axis=1, keepdims=True), 1)
        after = now / np.maximum(now.sum(axis=1, keepdims=True), 1)
        # An empty side shows nothing: as if it were as the other.
        after = np.where(after.sum(axis=1, keepdims=True) > 0, after, before)
        before = np.where(before.sum(axis=1, keepdims=True) > 0, before, after)
        lower, moved = np.cumsum(before, axis=1), after - before
        ranks = lower - before / 2
        gap = np.abs(np.cumsum(moved, axis=1))
        ranked = before @ _sums(self.parts)
        apart = moved @ _sums(self.parts)
        return {
            "rank_mean": (moved * ranks).sum(axis=1),
            "rank_spread": (moved * scores(ranks)).sum(axis=1),
            "ks": gap.max(axis=1, initial=0.0),
            "chi_square": np.sqrt((np.square(apart) / np.maximum(ranked, 1e-9)).sum(axis=1)),
            "wasserstein": (gap[:, :-1] * np.diff(self.values)).sum(axis=1),
            "outside": moved[:, self.ends].sum(axis=1),
        }


def scores(ranks: Floats) -> Floats:
    """Squared normal scores of ranks between 0 and 1."""
    return np.square(normal_quantile(np.clip(ranks, 1e-6, 1 - 1e-6)))


def categorical_distances(then: Counts, now: Counts, groups: Counts) -> Distances:
    """Statistics of K values (the union of both), counts of shape (P, K) or (1, K); `groups` as `common` tells them."""
    total = np.maximum(then.sum(axis=1, keepdims=True), 1)
    before, after = then / total, now / np.maximum(now.sum(axis=1, keepdims=True), 1)
    after = np.where(after.sum(axis=1, keepdims=True) > 0, after, before)
    grouped, moved = before @ _sums(groups), (after - before) @ _sums(groups)
    known = grouped > 0
    expected = (then == 1).sum(axis=1) / total[:, 0]
    return {
        "chi_square": np.sqrt(np.where(known, np.square(moved) / np.where(known, grouped, 1), 0).sum(axis=1)),
        "total_variation": np.abs(after - before).sum(axis=1) / 2,
        "new": np.where(before > 0, 0, after).sum(axis=1) - expected,
    }


def common(counts: Counts) -> Counts:
    """The group of each value: those with a share of their own, and 0 for all the others together."""
    shares = counts / max(counts.sum(), 1)
    own = shares >= min(RARE, 0.5 * float(shares.max(initial=0.0)) + 1e-12)
    return np.where(own, np.cumsum(own), 0)


def distances(then: ProfiledColumn, now: ProfiledColumn) -> dict[str, float]:
    """All statistics of one column of the current profile against the reference."""
    missing = now.missing / max(now.rows, 1) - then.missing / max(then.rows, 1)
    if isinstance(then, NumericColumn) and isinstance(now, NumericColumn):
        values, before, after = aligned(then, now)
        found = Ranks(before, values).distances(before[None, :], after[None, :])
    elif isinstance(then, CategoricalColumn) and isinstance(now, CategoricalColumn):
        _, before, after = aligned_values(then, now)
        found = categorical_distances(before[None, :], after[None, :], common(before))
    else:
        return {"missing": missing}
    return {"missing": missing} | {name: float(value[0]) for name, value in found.items()}


def distances_of_periods(periods: Sequence[ProfiledColumn], whole: ProfiledColumn) -> Distances:
    """Each period of a reference against all its others: one value a period for each statistic. `whole` is their sum,
    whose values are not folded any further."""
    rows = np.array([column.rows for column in periods], dtype=float)
    gone = np.array([column.missing for column in periods], dtype=float)
    found = {"missing": gone / np.maximum(rows, 1) - (gone.sum() - gone) / np.maximum(rows.sum() - rows, 1)}
    if isinstance(whole, NumericColumn):
        numbers = [column for column in periods if isinstance(column, NumericColumn)]
        cells, now = side_by_side(*(column.cells for column in numbers))
        return found | ranked_periods(now, cell_values(cells, whole.centre, whole.scale))
    place = {name: at for at, name in enumerate(whole.values)}
    table = np.zeros((len(periods), len(place) + 1))
    for row, column in zip(table, periods, strict=True):
        if isinstance(column, CategoricalColumn):
            for name, count in column.values.items():
                row[place.get(name, len(place))] += count
            row[-1] += column.others
    return found | categorical_distances(table.sum(axis=0) - table, table, common(table.sum(axis=0)))


def distances_by_period(rows: Any, column: ProfiledColumn, codes: Counts, periods: int) -> Distances:
    """The same from rows: `codes` say of each row in which of the `periods` it lies, `column` is the profile of all."""
    if isinstance(column, NumericColumn):
        numbers = floats_of(rows)
        finite, lost = np.isfinite(numbers), np.isnan(numbers)
        cells = cell_numbers(numbers[finite], column.centre, column.scale)
        used = np.flatnonzero(np.bincount(cells, minlength=CELLS))
        place = np.zeros(CELLS, dtype=np.int64)
        place[used] = np.arange(len(used))
        now = _table(codes[finite], place[cells], periods, len(used))
        found = ranked_periods(now, cell_values(used, column.centre, column.scale))
    else:
        encoded = rows.cast("string").combine_chunks().dictionary_encode()
        lost = np.asarray(encoded.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        listed = {name: at for at, name in enumerate(column.values)}
        known = np.array([listed.get(name, len(listed)) for name in encoded.dictionary.to_pylist()] or [0])
        dense = known[np.asarray(encoded.indices.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)]
        now = _table(codes[~lost], dense[~lost], periods, len(listed) + 1)
        found = categorical_distances(now.sum(axis=0) - now, now, common(now.sum(axis=0)))
    sizes, gone = np.bincount(codes, minlength=periods), np.bincount(codes[lost], minlength=periods)
    others = np.maximum(sizes.sum() - sizes, 1)
    return {"missing": gone / np.maximum(sizes, 1) - (gone.sum() - gone) / others} | found


def ranked_periods(now: Counts, values: Floats) -> Distances:
    """Each row of counts (P, K) against the sum of all others; beyond MOST_CELLS neighbouring cells are taken together."""
    if now.shape[1] == 0:
        now, values = np.zeros((len(now), 1)), np.zeros(1)
    if now.shape[1] > MOST_CELLS:
        total = now.sum(axis=0)
        group = (np.cumsum(total) - total / 2) / max(total.sum(), 1) * MOST_CELLS
        first = np.flatnonzero(np.diff(group.astype(np.int64), prepend=-1))
        values = np.add.reduceat(values * total, first) / np.maximum(np.add.reduceat(total, first), 1)
        now = np.add.reduceat(now, first, axis=1)
    whole = now.sum(axis=0)
    return Ranks(whole, values).distances(whole - now, now)


def aligned(then: NumericColumn, now: NumericColumn) -> tuple[Floats, Counts, Counts]:
    """(cell values, counts then, counts now) over the cells that either has."""
    cells, counts = side_by_side(then.cells, now.cells)
    if len(cells) == 0:
        return np.zeros(1), np.zeros(1), np.zeros(1)
    return cell_values(cells, then.centre, then.scale), counts[0].astype(float), counts[1].astype(float)


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


def _table(codes: Counts, dense: Counts, periods: int, width: int) -> Counts:
    return np.bincount(codes * width + dense, minlength=periods * width).reshape(periods, width).astype(float)


def _sums(groups: Counts) -> Floats:
    """The matrix that adds up the columns of each group."""
    found = np.zeros((len(groups), int(groups.max(initial=0)) + 1))
    found[np.arange(len(groups)), groups] = 1.0
    return found

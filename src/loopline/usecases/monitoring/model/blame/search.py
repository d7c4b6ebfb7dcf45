"""Which segment of the rows a change comes from. Imports numpy.

A segment S explains what vanishes without it: the change of the metric over all rows less the change over the rows that
are not in S. The change is larger in S, or S has grown; both count. The statistic is that difference over its error, with
blocks of time as the unit, and it is judged by the largest one that any segment reaches when the blocks are given to the
two windows by chance (Westfall and Young, Resampling-Based Multiple Testing, 1993).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from loopline.usecases.monitoring.model.blame.rows import Coded, Flags, Floats, Rows

LEAST_ROWS, LEAST_BLOCKS = 30, 3
LASTING, LEAST_Z = 0.7, 3.0
BEAM = 6
SURELY = 0.8  # and nearly as surely
PERMUTATIONS, LEVEL = 99, 0.05
KEEPS, NARROWS = 0.8, 0.6  # a second column must keep so much of what the first explains, with so few of its rows


@dataclass(frozen=True)
class Condition:
    """Rows of one column with a code between `first` and `last`."""

    column: Coded
    first: int
    last: int

    def rows(self) -> Flags:
        return np.asarray((self.column.codes >= self.first) & (self.column.codes <= self.last))

    @property
    def key(self) -> tuple[str, int, int]:
        return self.column.name, self.first, self.last


@dataclass(frozen=True)
class Found:
    """A segment by one or two conditions: what vanishes without it, and that over its error."""

    conditions: tuple[Condition, ...]
    z: float
    excess: float

    def rows(self) -> Flags:
        return np.asarray(np.logical_and.reduce([one.rows() for one in self.conditions]))

    def told(self) -> str:
        return " and ".join(one.column.told(one.first, one.last) for one in self.conditions)


@dataclass(frozen=True)
class Counts:
    """Rows and sums of values: of each block (D,), and of each candidate in each block (D, G)."""

    rows: Floats
    sums: Floats
    part_rows: Floats
    part_sums: Floats
    spans: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Bounds:
    """What a statistic must reach: of the columns that someone declared, and of all others."""

    declared: float
    found: float

    def of(self, rows: Rows, place: int) -> float:
        """That of a column."""
        return self.declared if rows.columns[place].name in rows.declared else self.found

    def needed(self, rows: Rows, found: Found) -> float:
        """That of a segment."""
        own = all(one.column.name in rows.declared for one in found.conditions)
        return self.declared if own else self.found


def segment(rows: Rows, bounds: Bounds, direction: float) -> Found | None:
    """The segment that explains most surely a change in `direction` (+1 or -1), or None when none passes its bound."""
    blocks, now_blocks = _blocks(rows)
    counts = counted(rows, np.ones(len(rows.value), dtype=bool), rows.columns, blocks)
    excess, z = statistic(counts, now_blocks)
    bound = np.array([bounds.of(rows, place) for place, _, _ in counts.spans])
    singles = [
        Found((_condition(rows.columns, counts.spans[place]),), float(direction * z[place]), float(excess[place]))
        for place in np.argsort(-direction * z / bound)[:BEAM]
    ]
    if not singles or singles[0].z < bounds.needed(rows, singles[0]):
        return None
    best = singles[0]
    deeper = [_within(rows, one, blocks, now_blocks, direction) for one in singles if one.z > 0]
    better = [pair for pair in deeper if pair is not None and _narrower(pair, best, bounds.found, direction)]
    return max(better, key=lambda found: found.z, default=best)


def _narrower(pair: Found, best: Found, threshold: float, direction: float) -> bool:
    surely = pair.z > max(SURELY * best.z, threshold) and pair.rows().sum() <= NARROWS * best.rows().sum()
    return surely and direction * pair.excess >= KEEPS * direction * best.excess


def bounds_of(rows: Rows, seed: int = 0) -> Bounds:
    """Half of the chance for the few declared columns, half for all others."""
    families = [[column for column in rows.columns if (column.name in rows.declared) == own] for own in (True, False)]
    declared, found = (
        threshold(replace(rows, columns=tuple(columns)), seed, LEVEL / 2) if columns else LEAST_Z
        for columns in families
    )
    return Bounds(declared, max(found, declared))


def threshold(rows: Rows, seed: int, level: float) -> float:
    """What the largest statistic of any segment (in either direction) exceeds with chance `level` when nothing is special
    about any."""
    blocks, now_blocks = _blocks(rows)
    counts = counted(rows, np.ones(len(rows.value), dtype=bool), rows.columns, blocks)
    # What is there on some days only (a new version, the day of the month) goes with its days wherever they are put: given to
    # the windows by chance it would differ as much as it really does. Its statistic is held against that of the others.
    lasting = (counts.part_rows > 0).mean(axis=0) >= LASTING
    if not lasting.any():
        return LEAST_Z
    counts = replace(counts, part_rows=counts.part_rows[:, lasting], part_sums=counts.part_sums[:, lasting])
    rng = np.random.default_rng(seed)
    largest = [np.abs(statistic(counts, rng.permutation(now_blocks))[1]).max(initial=0.0) for _ in range(PERMUTATIONS)]
    return float(max(np.quantile(largest, 1 - level), LEAST_Z))


def counted(rows: Rows, chosen: Flags, columns: tuple[Coded, ...], blocks: int) -> Counts:
    """Counts of every value, and of every run of neighbouring bins, among the `chosen` rows."""
    numbers, sums, spans = [], [], []
    block, value = rows.block[chosen], rows.value[chosen]
    for place, column in enumerate(columns):
        width = len(column.names)
        cells = block * width + column.codes[chosen]
        table = np.bincount(cells, minlength=blocks * width).reshape(blocks, width).astype(float)
        totals = np.bincount(cells, weights=value, minlength=blocks * width).reshape(blocks, width)
        for first, last in _spans(column):
            numbers.append(table[:, first : last + 1].sum(axis=1))
            sums.append(totals[:, first : last + 1].sum(axis=1))
            spans.append((place, first, last))
    empty = np.zeros((blocks, 0))
    return Counts(
        rows=np.bincount(rows.block, minlength=blocks).astype(float),
        sums=np.bincount(rows.block, weights=rows.value, minlength=blocks).astype(float),
        part_rows=np.stack(numbers, axis=1) if numbers else empty,
        part_sums=np.stack(sums, axis=1) if sums else empty,
        spans=tuple(spans),
    )


def statistic(counts: Counts, now: Flags) -> tuple[Floats, Floats]:
    """(change of all rows - change of the rows outside, the same over its error) of each of G candidates; 0 where it has
    no value."""
    rest_rows, rest_sums = counts.rows[:, None] - counts.part_rows, counts.sums[:, None] - counts.part_sums
    candidates = counts.part_rows.shape[1]
    excess, variance = np.zeros(candidates), np.zeros(candidates)
    valid = counts.part_rows.sum(axis=0) >= LEAST_ROWS
    for side, sign in ((now, 1.0), (~now, -1.0)):
        size, outside = counts.rows[side].sum(), rest_rows[side].sum(axis=0)
        there = (counts.part_rows[side] > 0).sum(axis=0)
        valid &= (outside >= LEAST_ROWS) & ((there == 0) | (there >= LEAST_BLOCKS))
        mean, other = counts.sums[side].sum() / max(size, 1.0), rest_sums[side].sum(axis=0) / np.maximum(outside, 1.0)
        excess += sign * (mean - other)
        whole = (counts.sums[side] - mean * counts.rows[side]) / max(size, 1.0)
        part = (rest_sums[side] - other * rest_rows[side]) / np.maximum(outside, 1.0)
        held = int(side.sum())
        variance += ((whole[:, None] - part) ** 2).sum(axis=0) * held / max(held - 1, 1)
    known = valid & (variance > 1e-30)
    return np.where(known, excess, 0.0), np.where(known, excess / np.sqrt(np.where(known, variance, 1.0)), 0.0)


def _spans(column: Coded) -> list[tuple[int, int]]:
    """Single codes, and runs of neighbouring bins that are not all of them."""
    width = len(column.names)
    singles = [(code, code) for code in range(width)]
    if not column.ordered:
        return singles
    return singles + [(a, b) for a, b in combinations(range(width - 1), 2) if b - a < width - 2]


def _within(rows: Rows, one: Found, blocks: int, now: Flags, direction: float) -> Found | None:
    """The surest part of a segment by a second column that keeps most of what the segment explains."""
    (first,) = one.conditions
    others = tuple(column for column in rows.columns if column.name != first.column.name)
    counts = counted(rows, first.rows(), others, blocks)
    excess, z = statistic(counts, now)
    narrow = counts.part_rows.sum(axis=0) <= NARROWS * first.rows().sum()
    z = np.where(narrow & (direction * excess >= KEEPS * direction * one.excess), direction * z, 0.0)
    if not z.any():
        return None
    place = int(np.argmax(z))
    return Found((first, _condition(others, counts.spans[place])), float(z[place]), float(excess[place]))


def _condition(columns: tuple[Coded, ...], span: tuple[int, int, int]) -> Condition:
    return Condition(columns[span[0]], span[1], span[2])


def _blocks(rows: Rows) -> tuple[int, Flags]:
    count = int(rows.block.max()) + 1
    now = np.zeros(count, dtype=bool)
    now[rows.block[rows.now]] = True
    return count, now

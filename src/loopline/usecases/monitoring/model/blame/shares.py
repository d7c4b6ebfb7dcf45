"""How much of a change each of several segments explains, so that the parts sum to the change. Imports numpy.

What a set T of segments explains is the change of all rows less that of the rows outside T; each segment gets its mean
share over all orders in which they may be named (Shapley, A value for n-person games, 1953). Within one step the share
splits exactly in two: `within` (the segment became worse than the others) and `mix` (it holds another share of the rows), by
Kitagawa, Components of a difference between two rates, 1955.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np

from loopline.usecases.monitoring.model.blame.rows import Flags, Floats, Ints


@dataclass(frozen=True)
class Share:
    """What one segment adds to the change: `within` + `mix`; its rows and its mean, then and now."""

    within: float
    mix: float
    rows: tuple[int, int]
    means: tuple[float, float]

    @property
    def whole(self) -> float:
        return self.within + self.mix


@dataclass(frozen=True)
class _Sums:
    rows: Floats  # (2,): then, now
    sums: Floats

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(self.rows + other.rows, self.sums + other.sums)


def shares(value: Floats, now: Flags, segments: Sequence[Flags]) -> tuple[list[Share], float]:
    """(the share of each of k <= 8 disjoint segments, what is left): they sum to mean(value[now]) - mean(value[~now]).

    The rows outside all segments must be of both windows.
    """
    outside = ~np.logical_or.reduce([np.zeros(len(value), bool), *segments])
    rest, parts = _sums(value, now, outside), [_sums(value, now, rows) for rows in segments]
    found = [_shapley(place, parts, rest) for place in range(len(parts))]
    return found, _change(rest)


def measured(
    found: Sequence[Share], segments: Sequence[Flags], now: Flags, value_of: Callable[[Flags], float]
) -> tuple[list[Share], float] | None:
    """The same with a metric that is no mean over rows, by its values over subsets of the rows: what is left is then its
    true change outside all segments. `mix` stays as it was, `within` takes up the difference. None where a subset has
    no value."""
    count = len(segments)
    changes = np.empty(1 << count)
    for members in range(1 << count):
        outside = [rows for place, rows in enumerate(segments) if members >> place & 1]
        rows = ~np.logical_or.reduce([np.zeros_like(now), *outside])
        changes[members] = value_of(rows & now) - value_of(rows & ~now)
    if not np.isfinite(changes).all():
        return None
    parts = []
    for place, one in enumerate(found):
        weights = [(m, 1 / (count * comb(count - 1, m.bit_count()))) for m in range(1 << count) if not m >> place & 1]
        whole = float(sum(weight * (changes[m] - changes[m | 1 << place]) for m, weight in weights))
        means = value_of(segments[place] & ~now), value_of(segments[place] & now)
        parts.append(replace(one, within=whole - one.mix, means=means))
    return parts, float(changes[-1])


def _shapley(place: int, parts: list[_Sums], rest: _Sums) -> Share:
    others = [one for at, one in enumerate(parts) if at != place]
    within = mix = 0.0
    for size in range(len(others) + 1):
        weight = 1 / (len(parts) * comb(len(others), size))
        for kept in combinations(others, size):
            around = rest
            for one in kept:
                around = around.plus(one)
            inner, moved = _split(parts[place], around)
            within, mix = within + weight * inner, mix + weight * moved
    part = parts[place]
    means = np.where(part.rows > 0, part.sums / np.maximum(part.rows, 1), np.nan)
    return Share(within, mix, (int(part.rows[0]), int(part.rows[1])), (float(means[0]), float(means[1])))


def _split(part: _Sums, around: _Sums) -> tuple[float, float]:
    """How the change differs with and without the part: (it became worse, it grew)."""
    share = part.rows / (part.rows + around.rows)
    other = around.sums / around.rows
    mean = np.where(part.rows > 0, part.sums / np.maximum(part.rows, 1), other)
    within = float(share.mean() * ((mean[1] - mean[0]) - (other[1] - other[0])))
    return within, float((share[1] - share[0]) * (mean - other).mean())


def _sums(value: Floats, now: Flags, chosen: Flags) -> _Sums:
    sides = [chosen & ~now, chosen & now]
    return _Sums(
        np.array([float(side.sum()) for side in sides]), np.array([float(value[side].sum()) for side in sides])
    )


def _change(sums: _Sums) -> float:
    return float(sums.sums[1] / sums.rows[1] - sums.sums[0] / sums.rows[0])


def by_value(value: Floats, now: Flags, codes: Ints, count: int) -> list[Share]:
    """Each value of one column, with the mean of all rows as the measure: these sum to the whole change too."""
    rows = np.stack([np.bincount(codes[side], minlength=count) for side in (~now, now)]).astype(float)
    sums = np.stack([np.bincount(codes[side], weights=value[side], minlength=count) for side in (~now, now)])
    share, level = rows / rows.sum(axis=1, keepdims=True), float(sums.sum() / rows.sum())
    means = np.where(rows > 0, sums / np.maximum(rows, 1), np.nan)
    filled = np.where(np.isnan(means), means[::-1], means)
    filled = np.where(np.isnan(filled), level, filled)
    within, mix = share.mean(axis=0) * (filled[1] - filled[0]), (share[1] - share[0]) * (filled.mean(axis=0) - level)
    return [
        Share(
            float(within[at]),
            float(mix[at]),
            (int(rows[0, at]), int(rows[1, at])),
            (float(means[0, at]), float(means[1, at])),
        )
        for at in range(count)
    ]

"""Metrics of scores counted by class: areas under curves, losses. Imports numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.quality import keys
from loopline.usecases.monitoring.model.quality.merging import counts_of
from loopline.usecases.monitoring.model.quality.scoring import Score, ratio
from loopline.usecases.monitoring.model.tallies import Binary, Naive

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SURE = 1e-7
NODES = 8


@dataclass(frozen=True)
class Spread:
    """Scores by class: `keys` increasing; `negative` and `positive` are counts by key, summed over buckets, and `parts` the
    same of each bucket as (places in `keys`, counts) of the negative and of the positive."""

    keys: Ints
    shift: int
    negative: Floats
    positive: Floats
    parts: list[tuple[tuple[Ints, Ints], tuple[Ints, Ints]]]

    def totals(self, negative: Floats, positive: Floats) -> Floats:
        """The sum over each bucket's rows of what a negative or a positive with that key adds."""
        return np.array([float(negative[a] @ m + positive[b] @ n) for (a, m), (b, n) in self.parts])

    def squares(self, negative: Floats, positive: Floats) -> float:
        """The sum of squares over all rows."""
        return float(self.negative @ negative**2 + self.positive @ positive**2)

    @property
    def counts(self) -> Floats:
        """Rows of each bucket."""
        return np.array([float(m.sum() + n.sum()) for (_, m), (_, n) in self.parts])


def spread(buckets: Sequence[Binary | Naive | None], fill: bool = False) -> Spread:
    """The scores of buckets by class. With `fill` a naive forecast that is missing counts as the median of the others."""
    shift = max((one.shift for one in buckets if one is not None), default=0)
    raw = [_sides(one, shift) for one in buckets]
    if fill:
        middle = _median(keys.summed([side for pair in raw for side in pair]))
        raw = [(_more(a, middle, one, 0), _more(b, middle, one, 1)) for (a, b), one in zip(raw, buckets, strict=True)]
    every = np.unique(np.concatenate([side[0] for pair in raw for side in pair] or [np.zeros(0, dtype=np.int64)]))
    parts = [tuple((np.searchsorted(every, codes), counts) for codes, counts in pair) for pair in raw]
    sides = [np.zeros(len(every)), np.zeros(len(every))]
    for pair in parts:
        for side, (places, counts) in zip(sides, pair, strict=True):
            side[places] += counts
    return Spread(every, shift, sides[0], sides[1], parts)  # type: ignore[arg-type]


def area(found: Spread, name: str = "auc") -> Score | None:
    """The area under the ROC curve; its influences are DeLong's structural components (DeLong, DeLong and Clarke-Pearson
    1988). None with one class only."""
    m, n = found.positive.sum(), found.negative.sum()
    if not m or not n:
        return None
    above = (np.cumsum(found.negative) - found.negative / 2) / n
    below = 1 - (np.cumsum(found.positive) - found.positive / 2) / m
    value = float(found.positive @ above / m)
    mine = (below - value) / n, (above - value) / m
    return Score(name, value, found.totals(*mine), found.counts, found.squares(*mine), fewest=float(min(m, n)))


def average_precision(found: Spread) -> Score | None:
    """The average precision (the precision at each positive, averaged), with its influence function. None without positives.

    Equal scores are one threshold; under a wide key are scores that differ, of which positives lie evenly among negatives.
    """
    m = found.positive.sum()
    if not m:
        return None
    hits, alarms = np.cumsum(found.positive[::-1])[::-1], np.cumsum(found.negative[::-1])[::-1]
    many = hits + alarms
    precision = hits / np.maximum(many, 1) if not found.shift else _within(found, hits, alarms)
    value = float(found.positive @ precision / m)
    # One more row with some score changes the precision at every threshold below it.
    weight = found.positive / np.maximum(many, 1) ** 2 / m
    lifted, lowered = np.cumsum(weight * alarms), np.cumsum(weight * hits)
    mine = -lowered, (precision - value) / m + lifted
    return Score("pr_auc", value, found.totals(*mine), found.counts, found.squares(*mine), fewest=float(m))


def _within(found: Spread, hits: Floats, alarms: Floats) -> Floats:
    """The mean precision at the positives of each key, when these lie evenly among its negatives."""
    above, below = hits - found.positive, alarms - found.negative
    precision = np.zeros(len(hits))
    for part in (np.arange(NODES) + 0.5) / NODES:
        rank = found.positive * part + 0.5
        passed = found.negative * rank / (found.positive + 1)
        precision += (above + rank) / (above + rank + below + passed)
    return precision / NODES


def losses(found: Spread, buckets: Sequence[Binary | None]) -> Iterator[Score]:
    """Log loss and Brier score: exact sums; the squares within a bucket are from the counts by key."""
    scores = keys.score_values(found.keys, found.shift)
    sure = np.clip(scores, _SURE, 1 - _SURE)
    for name, negative, positive in (
        ("log_loss", -np.log1p(-sure), -np.log(sure)),
        ("brier", scores**2, (1 - scores) ** 2),
    ):
        sums = np.array([0.0 if one is None else getattr(one, name) for one in buckets])
        yield ratio(name, sums, found.counts, found.squares(negative, positive))


def _sides(one: Binary | Naive | None, shift: int) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints]]:
    if one is None:
        return keys.unpacked(b""), keys.unpacked(b"")
    return counts_of(one, "negatives", shift), counts_of(one, "positives", shift)


def _median(counts: tuple[Ints, Ints]) -> int:
    running = np.cumsum(counts[1])
    return int(counts[0][int(np.searchsorted(running, (running[-1] + 1) // 2))]) if len(running) else 0


def _more(side: tuple[Ints, Ints], middle: int, one: Binary | Naive | None, positive: int) -> tuple[Ints, Ints]:
    if not isinstance(one, Naive):
        return side
    missing = one.missing_positives if positive else one.missing_negatives
    return keys.summed([side, (np.array([middle]), np.array([missing]))]) if missing else side


def by_score(found: Spread, parts: int) -> list[tuple[Score, float]]:
    """Rows ordered by score in `parts` of about equal size (rows with equal scores stay together): each with how many turned out
    positive, as a Score, and its mean score."""
    rows = found.negative + found.positive
    before = np.cumsum(rows) - rows / 2
    place = np.minimum((before / max(float(rows.sum()), 1.0) * parts).astype(np.int64), parts - 1)
    values = keys.score_values(found.keys, found.shift)
    told = []
    for part in np.unique(place):
        mine = place == part
        tops = np.array([float(n[mine[b]].sum()) for _, (b, n) in found.parts])
        units = tops + np.array([float(m[mine[a]].sum()) for (a, m), _ in found.parts])
        mean = float(values[mine] @ rows[mine] / rows[mine].sum())
        told.append((ratio("label_mean", tops, units, float(tops.sum())), mean))
    return told

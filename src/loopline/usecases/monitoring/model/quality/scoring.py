"""A metric of tallies, with what each of them adds to it. Imports numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopline.core.performance import LOSSES
from loopline.kit.student import t_quantile

Floats = NDArray[np.float64]
LEAST_BLOCKS = 5
UNIT = frozenset(
    ("auc", "pr_auc", "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1",
     "macro_precision", "macro_recall", "macro_f1", "ndcg", "mrr", "map", "hit_rate", "label_mean", "selection_rate")
)  # fmt: skip
SIGNED = frozenset(("mcc", "lead"))


@dataclass(frozen=True)
class Score:
    """A metric: its value, what each bucket adds to it to first order (`blocks`, they sum to 0: the influence function
    summed over the bucket's rows), over how many units (rows, groups), and the sum of the squared influences of single
    units, NaN where the tallies do not tell it. `counts` are the units of each bucket. `bias` is by how much chance alone
    makes the value larger on average, which lower ends of intervals allow for. `fewest` are the units on which most depends
    (of an AUC the rarer class, of a precision what was called positive); 0: all. `share`: it is a share of those."""

    name: str
    value: float
    blocks: Floats
    counts: Floats
    squares: float = math.nan
    bias: float = 0.0
    fewest: float = 0.0
    share: bool = False


def ratio(name: str, tops: Floats, counts: Floats, squares: float = math.nan) -> Score:
    """A mean: `tops` are sums over the units of each bucket, `squares` the sum of the units' squares."""
    units = float(counts.sum())
    value = float(tops.sum()) / units if units else math.nan
    spread = (squares - units * value * value) / units**2 if units else math.nan
    return Score(name, value, (tops - value * counts) / max(units, 1), counts, max(spread, 0.0))


def of_cells(name: str, cells: Floats, value: Callable[[Floats], float], slope: Callable[[Floats], Floats]) -> Score:
    """A function of counts, of shape (buckets, cells), in which every unit lies in one cell; `slope` is its gradient."""
    whole = cells.sum(axis=0)
    steep = slope(whole)
    centred = steep - float(steep @ whole) / max(float(whole.sum()), 1.0)
    return Score(name, value(whole), cells @ centred, cells.sum(axis=1), float(whole @ centred**2))


def error_of(score: Score, days: NDArray[np.int64]) -> tuple[float, int, int]:
    """(standard error, degrees of freedom, blocks): from days when LEAST_BLOCKS have units, else from the units, else from
    buckets. (NaN, 0, 0) where none of them can tell.

    Days and buckets: sum of squared totals with the factor C / (C - 1), as for clustered data (Obuchowski 1997 for the AUC;
    Liang and Zeger 1986), which also holds when the rows of a day are alike.
    """
    used = score.counts > 0
    totals = _by(days[used], score.blocks[used])
    units = score.fewest or float(score.counts.sum())
    if len(totals) < LEAST_BLOCKS and math.isfinite(score.squares):
        return (math.sqrt(score.squares * units / (units - 1)), int(units) - 1, 0) if units > 1 else (math.nan, 0, 0)
    if len(totals) < LEAST_BLOCKS:
        totals = score.blocks[used]
    if len(totals) < LEAST_BLOCKS:
        return math.nan, 0, 0
    count = len(totals)
    return float(np.sqrt((totals**2).sum() * count / (count - 1))), count - 1, count


def interval(score: Score, error: float, times: float) -> tuple[float, float] | None:
    """The value and `times` its standard error on both sides (and the bias below), within what the metric can be.

    Where nothing varied, so that there is no error: of a share that of Wilson (1927), of others None.
    """
    name, value = score.name, score.value
    if not (math.isfinite(error) and math.isfinite(value)):
        return None
    if error <= 1e-12:
        return _wilson(value, score.fewest, times) if score.share and score.fewest else None
    low, high = value - times * error - score.bias, value + times * error
    if name in UNIT:
        return max(low, 0.0), min(high, 1.0)
    if name in SIGNED:
        return max(low, -1.0), min(high, 1.0)
    return (max(low, 0.0) if name in LOSSES and name != "cost" else low), (min(high, 1.0) if name == "r2" else high)


def _wilson(share: float, units: float, times: float) -> tuple[float, float]:
    squared = times * times / units
    middle = (share + squared / 2) / (1 + squared)
    half = times * math.sqrt(share * (1 - share) / units + squared / (4 * units)) / (1 + squared)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def reach(confidence: float, degrees: int) -> float:
    """How many standard errors wide each side is."""
    return t_quantile((1 + confidence) / 2, degrees)


def _by(days: NDArray[np.int64], blocks: Floats) -> Floats:
    _, codes = np.unique(days, return_inverse=True)
    return np.asarray(np.bincount(codes, weights=blocks), dtype=np.float64)

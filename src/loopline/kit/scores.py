"""How good predictions are, with the influence of each row, from which clustered errors follow.

Imports numpy: import this module only where scores are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LARGER_IS_BETTER = {"auc": True, "accuracy": True, "log_loss": False, "brier": False, "mae": False, "mse": False}
NEEDS_TWO_CLASSES = frozenset({"auc", "accuracy", "log_loss", "brier"})


def influences(metric: str, truth: Floats, predicted: Floats) -> tuple[float, Floats]:
    """The score and what each of the n rows adds to it to first order (n values with mean 0, already divided by n).

    `truth` is 0 or 1 for the metrics in NEEDS_TWO_CLASSES, `predicted` the probability of 1. The score is NaN, and so
    is every influence, where it has no value (no row; AUC with one class only). KeyError for an unknown metric.
    """
    if len(truth) == 0:
        return float("nan"), np.full(0, np.nan)
    if metric == "auc":
        return _auc(truth, predicted)
    losses = _LOSSES[metric](truth, predicted)
    mean = float(losses.mean())
    return mean, (losses - mean) / len(losses)


def standard_error(influence: Floats, blocks: NDArray[Any], neighbours: bool = False) -> tuple[float, int]:
    """(standard error, degrees of freedom) of a score whose rows are alike within a block.

    The sum of squared block totals with the factor C / (C - 1) for C blocks (for AUC: Obuchowski 1997); C - 1 degrees
    of freedom. (NaN, 0) with fewer than two blocks. With `neighbours` the blocks are numbered by time, and where
    neighbouring ones move together their covariance counts too (it never narrows the error): what happens late in one
    day reaches into the next.
    """
    numbers, codes = np.unique(blocks, return_inverse=True)
    totals = np.bincount(codes, weights=influence)
    count = len(totals)
    if count < 2:
        return float("nan"), 0
    variance = float((totals**2).sum())
    if neighbours:
        adjacent = np.diff(numbers) == 1
        variance += 2 * max(0.0, float((totals[1:] * totals[:-1])[adjacent].sum()))
    return float(np.sqrt(variance * count / (count - 1))), count - 1


def midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


def _auc(truth: Floats, predicted: Floats) -> tuple[float, Floats]:
    """Area under the ROC curve by midranks; influence = DeLong's structural components (Sun and Xu 2014)."""
    positive = truth > 0.5
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        return float("nan"), np.full(len(truth), np.nan)
    ranks = midranks(predicted)
    above = (ranks[positive] - midranks(predicted[positive])) / n
    below = 1 - (ranks[~positive] - midranks(predicted[~positive])) / m
    area = float(above.mean())
    influence = np.empty(len(truth))
    influence[positive] = (above - area) / m
    influence[~positive] = (below - area) / n
    return area, influence


def _log_loss(truth: Floats, predicted: Floats) -> Floats:
    # Probabilities are kept 1e-7 away from 0 and 1, so that one sure mistake costs 16 nats and not everything.
    sure = np.clip(predicted, 1e-7, 1 - 1e-7)
    return np.asarray(-(truth * np.log(sure) + (1 - truth) * np.log1p(-sure)))


_LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "log_loss": _log_loss,
    "brier": lambda truth, predicted: (predicted - truth) ** 2,
    "mse": lambda truth, predicted: (predicted - truth) ** 2,
    "mae": lambda truth, predicted: np.abs(predicted - truth),
    "accuracy": lambda truth, predicted: ((predicted > 0.5) == (truth > 0.5)).astype(float),
}

"""Metrics of rows whose truth is known only as a probability of being 1 (0 and 1 where it has arrived).

Counts are expected counts; AUC is the expected number of rightly ordered pairs over that of pairs of a one and a zero.
So CBPE does it (NannyML); the ratio of expectations stands for the expectation of the ratio, which differs by O(1 / rows).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from loopline.usecases.monitoring.model.estimates.rows import Floats

BINARY = (
    "auc", "pr_auc", "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "mcc", "log_loss",
    "brier", "cost", "lead",
)  # fmt: skip


class Scored(NamedTuple):
    """n rows: their scores, the order of increasing scores, the first row of each group of equal ones in that order,
    which are above the threshold; the same order and groups of the naive forecast that `lead` compares with."""

    score: Floats
    order: np.ndarray
    firsts: np.ndarray
    decided: np.ndarray
    other: tuple[np.ndarray, np.ndarray] | None = None


def scored(score: Floats, threshold: float, naive: Floats | None = None) -> Scored:
    """Sort once what is scored often. Empty values of `naive` count as its median."""
    other = None
    if naive is not None:
        finite = np.isfinite(naive)
        other = _ordered(np.where(finite, naive, np.median(naive[finite]) if finite.any() else 0.0))
    return Scored(score, *_ordered(score), score > threshold, other)


def expected(metric: str, rows: Scored, ones: Floats, costs: Mapping[str, float] = {}) -> float:
    """The metric when row i is 1 with probability ones[i]; NaN where it has no value. KeyError for another than BINARY."""
    if metric == "auc":
        return _area(rows.order, rows.firsts, ones)
    if metric == "lead":
        return np.nan if rows.other is None else _area(rows.order, rows.firsts, ones) - _area(*rows.other, ones)
    if metric == "pr_auc":
        return _average_precision(rows, ones)
    if metric == "brier":
        return float((ones * (1 - rows.score) ** 2 + (1 - ones) * rows.score**2).mean())
    if metric == "log_loss":
        sure = np.clip(rows.score, 1e-7, 1 - 1e-7)
        return float(-(ones * np.log(sure) + (1 - ones) * np.log1p(-sure)).mean())
    return _of_counts(metric, rows, ones, costs)


def _of_counts(metric: str, rows: Scored, ones: Floats, costs: Mapping[str, float]) -> float:
    count, decided, positive = len(ones), float(rows.decided.sum()), float(ones.sum())
    tp = float(ones[rows.decided].sum())
    fp, fn = decided - tp, positive - tp
    tn = count - decided - fn
    root = max(decided * (count - decided) * positive * (count - positive), 0.0) ** 0.5
    found = {
        "accuracy": (tp + tn, count),
        "precision": (tp, decided),
        "recall": (tp, positive),
        "specificity": (tn, tn + fp),
        "f1": (2 * tp, decided + positive),
        "mcc": (tp * tn - fp * fn, root),
        "cost": (
            tp * costs.get("true_positive", 0.0) + fp * costs.get("false_positive", 0.0)
            + tn * costs.get("true_negative", 0.0) + fn * costs.get("false_negative", 0.0), count,
        ),
    }  # fmt: skip
    if metric == "balanced_accuracy":
        return (_ratio(*found["recall"]) + _ratio(*found["specificity"])) / 2
    return _ratio(*found[metric])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 1e-9 else float("nan")


def _ordered(values: Floats) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(values, kind="stable")
    inner = values[order]
    return order, np.flatnonzero(np.concatenate(([True], inner[1:] != inner[:-1])))


def _area(order: np.ndarray, firsts: np.ndarray, ones: Floats) -> float:
    """Expected ordered pairs over expected pairs; a row makes no pair with itself."""
    above = ones[order]
    below = 1 - above
    grouped, zeros = np.add.reduceat(above, firsts), np.add.reduceat(below, firsts)
    before = np.cumsum(zeros) - zeros
    alone = float((above * below).sum())
    pairs = float(above.sum()) * float(below.sum()) - alone
    return _ratio(float((grouped * (before + 0.5 * zeros)).sum()) - 0.5 * alone, pairs)


def _average_precision(rows: Scored, ones: Floats) -> float:
    """Sum over thresholds of precision times the gain in recall."""
    falling = np.add.reduceat(ones[rows.order], rows.firsts)[::-1]
    sizes = np.diff(np.append(rows.firsts, len(ones)))[::-1]
    found, taken = np.cumsum(falling), np.cumsum(sizes)
    return _ratio(float((found / taken * falling).sum()), float(falling.sum()))

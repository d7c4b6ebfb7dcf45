"""What each row adds to a metric. Imports numpy.

For a mean over rows (losses, accuracy, costs) that is the row's own loss, exactly. For any other metric it is the metric plus
n times the row's influence (Hampel, The influence curve and its role in robust estimation, 1974): the mean over the
rows is the metric exactly, and a part of the rows carries its part to first order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from loopline.usecases.monitoring.model.blame.rows import Flags, Floats

ADDITIVE = frozenset(("accuracy", "log_loss", "brier", "cost", "mae", "mse", "bias"))


def row_values(
    metric: str,
    truth: Floats,
    predicted: Floats,
    now: Flags,
    threshold: float = 0.5,
    costs: Mapping[Any, float] | None = None,
) -> Floats | None:
    """(n,) values of rows that have truth, each window for itself; None where the metric has no value in one of them."""
    from loopline.kit.scores import influences

    if metric == "accuracy":
        return np.asarray((predicted > threshold) == (truth > 0.5), dtype=float)
    if metric == "cost":
        return _costs(truth > 0.5, predicted > threshold, costs or {})
    if metric == "bias":
        return np.asarray(predicted - truth)
    found = np.empty(len(truth))
    for side in (now, ~now):
        try:
            value, influence = influences(metric, truth[side], predicted[side])
        except (KeyError, ValueError):
            return None
        if not np.isfinite(value) or not len(influence) or not np.isfinite(influence).all():
            return None
        found[side] = value + len(influence) * influence
    return found


def lead_values(truth: Floats, predicted: Floats, over: Floats, now: Flags) -> Floats | None:
    """The same for the AUC of the predictions less that of the input `over`."""
    middle = np.median(over[np.isfinite(over)]) if np.isfinite(over).any() else 0.0
    ours = row_values("auc", truth, predicted, now)
    theirs = row_values("auc", truth, np.where(np.isfinite(over), over, middle), now)
    return None if ours is None or theirs is None else ours - theirs


def value_over(metric: str, truth: Floats, predicted: Floats, over: Floats | None) -> Callable[[Flags], float] | None:
    """The metric over some of the rows, NaN where it has no value; None for a mean over rows, whose parts add up by
    themselves."""
    from loopline.kit.scores import influences

    if metric in ADDITIVE:
        return None

    def plain(name: str, labels: Floats, scores: Floats) -> float:
        try:
            return float(influences(name, labels, scores)[0]) if len(labels) else float("nan")
        except (KeyError, ValueError):
            return float("nan")

    def value(rows: Flags) -> float:
        if metric == "lead" and over is not None:
            return plain("auc", truth[rows], predicted[rows]) - plain("auc", truth[rows], over[rows])
        return plain(metric, truth[rows], predicted[rows])

    return value


def _costs(positive: Flags, said: Flags, costs: Mapping[Any, float]) -> Floats:
    names = {(True, True): "true_positive", (False, True): "false_positive"}
    names |= {(False, False): "true_negative", (True, False): "false_negative"}
    found = np.zeros(len(positive))
    for (truth, claim), name in names.items():
        found[(positive == truth) & (said == claim)] = costs.get(name, 0.0)
    return found

"""One number out of several methods, and an interval from how wrong the numbers before were."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from loopline.kit.student import t_quantile

# How wrong a method is taken to be before it was ever compared with truth, relative to the others.
PRIOR = {"cbpe": 2.0, "features": 1.5, "arrived": 1.0, "weighted": 1.2}
PRIOR_WINDOWS, FORGETTING, SHARPNESS = 3.0, 0.96, 4.0
INFLATION, INFLATION_WINDOWS = 1.3, 6.0


def weights(past: Sequence[Mapping[str, float]], methods: Sequence[str], scale: float) -> dict[str, float]:
    """Weights that sum to 1, from the methods' errors in past windows (oldest first): inverse mean squared errors to
    the power SHARPNESS, older ones forgotten by FORGETTING a window (Bates and Granger, "The combination of forecasts",
    1969). `scale` is the size of an error where nothing is known yet."""
    raw: dict[str, float] = {}
    for method in methods:
        squares, count = PRIOR_WINDOWS * PRIOR.get(method, 1.0) * scale**2, PRIOR_WINDOWS
        for age, errors in enumerate(reversed(past)):
            if method in errors and math.isfinite(errors[method]):
                squares += FORGETTING**age * errors[method] ** 2
                count += FORGETTING**age
        raw[method] = (squares / count + 1e-18) ** -SHARPNESS
    total = sum(raw.values())
    return {method: value / total for method, value in raw.items()}


def scale_of(past: Sequence[Mapping[str, float]], spread: float) -> float:
    """The usual size of an error: of the past ones, beside the spread of this window as if it were one more."""
    squares = [error**2 for errors in past for error in errors.values() if math.isfinite(error)]
    return math.sqrt((sum(squares) + spread**2) / (len(squares) + 1))


def reach(standardized: Sequence[float], confidence: float) -> float:
    """How many spreads the interval reaches to each side: Student's quantile times the size of past errors, each divided
    by its spread, beside INFLATION_WINDOWS windows as if their errors had been INFLATION spreads."""
    count = len(standardized)
    squares = INFLATION_WINDOWS * INFLATION**2 + sum(value**2 for value in standardized)
    size = math.sqrt(squares / (INFLATION_WINDOWS + count))
    return t_quantile((1 + confidence) / 2, INFLATION_WINDOWS + count) * size


def within(metric: str, value: float) -> float:
    """The value, inside what the metric can be."""
    if metric in ("auc", "pr_auc", "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1"):
        return min(max(value, 0.0), 1.0)
    if metric in ("mcc", "lead"):
        return min(max(value, -1.0), 1.0)
    return max(value, 0.0) if metric in ("log_loss", "brier", "mae", "mse", "rmse") else value

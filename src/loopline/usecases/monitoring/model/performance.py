"""Realized performance by window and slice, label delay and maturity. Imports numpy: import it only where windows are made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.kit.scores import influences, standard_error
from loopline.kit.student import t_quantile
from loopline.usecases.monitoring.model.arrays import DAY_MS, NO_TIME
from loopline.usecases.monitoring.model.windows import LabelDelay

Floats = NDArray[np.float64]
LEAST_FOR_DELAY = 100


def label_delay(event_ms: NDArray[np.int64], known_ms: NDArray[np.int64], watermark_ms: int) -> LabelDelay:
    """Quantiles of known - event in hours, and the share of truth that ever comes.

    Young predictions show only short delays, so both are taken from those older than nearly the longest delay seen
    (its 0.999 quantile), when LEAST_FOR_DELAY of them have truth; else (`settled` False) from what there is, which
    reads too short.
    """
    has = known_ms != NO_TIME
    delays = (known_ms - event_ms)[has]
    if len(delays) == 0:
        return LabelDelay()
    old = event_ms <= watermark_ms - int(np.quantile(delays, 0.999))
    settled = int((has & old).sum()) >= LEAST_FOR_DELAY
    chosen = old if settled else np.ones(len(has), dtype=bool)
    hours = (known_ms - event_ms)[has & chosen] / 3_600_000
    p50, p90, p99 = np.quantile(hours, [0.5, 0.9, 0.99])
    return LabelDelay(
        p50_hours=max(float(p50), 0.0),
        p90_hours=max(float(p90), 0.0),
        p99_hours=max(float(p99), 0.0),
        expected_share=float((has & chosen).sum() / chosen.sum()),
        settled=settled,
    )


def realized(predicted: Floats, truth: Floats, event_ms: NDArray[np.int64], confidence: float = 0.95) -> dict[str, Any]:
    """Metrics of the rows that have truth (NaN elsewhere): auc, log_loss, brier and accuracy, auc with its interval.

    The interval takes days as blocks when there are at least five, else rows. Labels that are not 0 and 1 get mae and
    mse instead. Values that do not exist (one class only) are left out.
    """
    known = np.isfinite(truth) & np.isfinite(predicted)
    found: dict[str, Any] = {"predicted_mean": _mean(predicted[np.isfinite(predicted)])}
    if not known.any():
        return _finite(found)
    labels, scores, days = truth[known], predicted[known], event_ms[known] // DAY_MS
    found["predicted_mean_labelled"], found["label_mean"] = _mean(scores), _mean(labels)
    binary = bool(np.isin(labels, (0.0, 1.0)).all())
    for metric in ("auc", "log_loss", "brier", "accuracy") if binary else ("mae", "mse"):
        value, influence = influences(metric, labels, scores)
        found[metric] = value
        if metric in ("auc", "mae"):
            found |= _interval(metric, value, influence, days, confidence)
    return _finite(found)


def lead(predicted: Floats, over: Floats, truth: Floats, event_ms: NDArray[np.int64]) -> dict[str, Any]:
    """AUC of the predictions less that of `over` as a forecast of the same rows, with the paired interval by days.

    A value of `over` that is no number counts as the median of the others.
    """
    known = np.isfinite(truth) & np.isfinite(predicted)
    labels, days = truth[known], event_ms[known] // DAY_MS
    if not known.any() or not np.isin(labels, (0.0, 1.0)).all():
        return {}
    naive = over[known]
    middle = np.median(naive[np.isfinite(naive)]) if np.isfinite(naive).any() else 0.0
    ours, our_influence = influences("auc", labels, predicted[known])
    theirs, their_influence = influences("auc", labels, np.where(np.isfinite(naive), naive, middle))
    return _finite(
        {"lead": ours - theirs} | _interval("lead", ours - theirs, our_influence - their_influence, days, 0.95)
    )


def latency(latency_us: Floats) -> dict[str, Any]:
    """p50 and p99 in milliseconds; NaN are left out."""
    known = latency_us[np.isfinite(latency_us)]
    if len(known) == 0:
        return {}
    p50, p99 = np.quantile(known / 1000, [0.5, 0.99])
    return {"latency_p50_ms": float(p50), "latency_p99_ms": float(p99)}


def _interval(
    metric: str, value: float, influence: Floats, days: NDArray[np.int64], confidence: float
) -> dict[str, Any]:
    blocks = days if len(np.unique(days)) >= 5 else np.arange(len(influence))
    error, degrees = standard_error(influence, blocks)
    if not degrees or not math.isfinite(error):
        return {}
    reach = t_quantile((1 + confidence) / 2, degrees) * error
    low, high = value - reach, value + reach
    return {f"{metric}_low": low if metric == "lead" else max(low, 0.0)} | {
        f"{metric}_high": min(high, 1.0) if metric == "auc" else high
    }


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, float) or math.isfinite(value)}

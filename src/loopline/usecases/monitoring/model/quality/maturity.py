"""When a window's truth has arrived: the one rule for matured and provisional. Without numpy."""

from __future__ import annotations

from bisect import bisect_right

from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.windows import LabelDelay

HOUR_MS = 3_600_000


def wait_hours(delay: LabelDelay, config: MonitorConfig) -> float | None:
    """How long to wait after a window's end until hardly any truth is still to come: what the monitor says, else the time by
    which 99 % of the truth that ever comes has come. None while that is not known."""
    if config.label_delay_hours is not None:
        return config.label_delay_hours
    return delay.p99_hours if delay.settled else None


def matured(end_ms: int, watermark_ms: int, delay: LabelDelay, config: MonitorConfig) -> bool:
    """Whether the event clock is past the window's end plus the wait; before, its metrics are provisional."""
    hours = wait_hours(delay, config)
    return hours is not None and watermark_ms >= end_ms + hours * HOUR_MS


def share_by(delay: LabelDelay, hours: float) -> float | None:
    """The share of predictions of that age whose truth has come; None while no delay is known."""
    if not delay.hours or delay.expected_share is None:
        return None
    place = bisect_right(delay.hours, hours)
    return 0.0 if place == 0 else delay.shares[place - 1]


def arrived(predictions: int, labelled: int, delay: LabelDelay) -> float | None:
    """How much of the truth that ever comes has come, 0 to 1; None while it is not known how much comes."""
    if not delay.settled or not delay.expected_share or not predictions:
        return None
    return min(labelled / (predictions * delay.expected_share), 1.0)

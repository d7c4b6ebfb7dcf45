"""When a window's truth has arrived: the one rule for matured and provisional. Without numpy."""

from __future__ import annotations

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

"""Profiles of hours that are long past become those of days."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopline.usecases.monitoring.model import MonitorConfig

pytestmark = pytest.mark.unit


def test_hours_that_are_long_past_are_kept_by_day(watch: Any) -> None:
    watch.rules["late"] = {"window": "hour", "estimates": {"off": True}}
    first = watch.traffic(300, days=2)
    watch.monitoring.evaluate("late")
    start = watch.april
    hours = [
        watch.monitoring.book("late").profile(start + n * watch.hour, start + (n + 1) * watch.hour) for n in range(24)
    ]
    assert sum(one.rows for one in hours if one is not None) > 100
    before = watch.monitoring.book("late").profile(start, start + watch.day)
    watch.traffic(50, start=start + 80 * watch.day, days=1)
    watch.monitoring.evaluate("late")
    book = watch.monitoring.book(
        "late", MonitorConfig(window="hour", estimates=watch.monitoring.rules("late").estimates)
    )
    assert book.profile(start, start + watch.day) == before
    assert book.profile(start, start + watch.hour) is None, "the day alone is known"
    events = np.asarray(first["event_time"].cast("int64"))
    assert before.rows == (events < start + watch.day).sum()
    newest = start + 80 * watch.day
    assert sum(
        one is not None
        for one in (book.profile(newest + n * watch.hour, newest + (n + 1) * watch.hour) for n in range(24))
    )

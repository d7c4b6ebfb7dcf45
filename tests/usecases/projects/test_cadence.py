"""`plan` warns of a monitor that asks for performance more often than truth can arrive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from loopline.usecases.monitoring.model import PERIODS, MonitorConfig
from loopline.usecases.projects import cadence
from loopline.usecases.projects.drawing import drawn
from loopline.usecases.projects.model import Declared

pytestmark = pytest.mark.unit


def seen(rate: float | None, wait: float | None) -> Any:
    return SimpleNamespace(labels_per_hour=rate, wait_hours=wait, inputs=("distance", "carrier"))


@pytest.mark.parametrize(
    ("entry", "arrivals", "text"),
    [
        ({"window": "hour"}, seen(40, 36), "asks for hours, but truth takes 36 h and 40 labels an hour come: a week is the shortest window that waits for it and has 200 labels"),
        ({"window": "hour"}, seen(40, 2), "asks for hours, but truth takes 2 h and 40 labels an hour come: a day is the shortest window that waits for it and has 200 labels"),
        ({"window": "day"}, seen(0.5, 2), "asks for days, but 12 labels a day come: a month is the shortest window that has 200 labels"),
        ({"window": "day"}, seen(0.01, 2), "asks for days, but 0.24 labels a day come: not even a month has 200 labels"),
        ({"window": "day"}, seen(0, None), "asks for days, but no labels come: not even a month has 200 labels"),
        ({"window": "day", "label_delay_hours": 30}, None, "asks for days, but truth takes 30 h: a week is the shortest window that waits for it"),
        ({"label_delay_hours": 2000}, None, "asks for weeks, but truth takes 2e+03 h: not even a month waits for it"),
        ({"window": "hour", "minimum_labels": 10, "label_delay_hours": 1}, seen(40, 36), ""),
        ({}, seen(10, 30), ""),
        ({}, None, ""),
        ({"window": "hour"}, seen(None, None), ""),
    ],
)  # fmt: skip
def test_the_shortest_window_that_means_something_is_named(entry: dict[str, Any], arrivals: Any, text: str) -> None:
    assert cadence.asked_too_often(entry, arrivals) == text


def test_a_monitor_that_says_nothing_is_what_monitoring_takes_it_for() -> None:
    config = MonitorConfig()
    assert (config.window, config.minimum_labels) == (cadence.WINDOW, cadence.LABELS)
    assert tuple(cadence.HOURS) == PERIODS


def test_it_is_a_note_in_the_plan_and_no_mistake(loopline: Any) -> None:
    monitors = {"late": {"endpoint": "late", "window": "hour", "label_delay_hours": 36}}
    config = {"project": "late", "endpoints": {"late": {"model": "late"}}, "monitors": monitors}
    plan = loopline.projects.plan_of(Declared(config=config, contracts={}, files={}, folder="/nowhere"))
    (note,) = plan.notes
    assert (note.kind, note.name) == ("monitor", "late")
    import msgspec

    assert "i monitor late asks for hours, but truth takes 36 h" in drawn(msgspec.to_builtins(plan))


def test_columns_that_the_version_does_not_take_are_named() -> None:
    entry = {
        "slices": ["carrier", "carier", "arm"], "group": "key", "protected": ["wind"],
        "drift": {"columns": ["prediction", "distanse"], "tolerance": {"distance": 3}}, "quality": [{"over": "hour"}],
    }  # fmt: skip
    assert list(cadence.not_there(entry, ("distance", "carrier"))) == [
        "slices names 'carier', which is no input of the version in use; did you mean 'carrier'?",
        "protected names 'wind', which is no input of the version in use; it takes distance, carrier",
        "drift.columns names 'distanse', which is no input of the version in use; did you mean 'distance'?",
        "quality.over names 'hour', which is no input of the version in use; it takes distance, carrier",
    ]
    assert list(cadence.not_there(entry, ())) == []

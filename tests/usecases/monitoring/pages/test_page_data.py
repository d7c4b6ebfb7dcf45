"""What the pages of one model draw: pure functions over what the verbs answer."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.core.errors import NotFound
from loopline.usecases.monitoring import web_drift, web_limits, web_monitor, web_segments, web_truth

pytestmark = pytest.mark.unit


def window(week: int, value: float | None = 0.8, mature: bool = True, **more: Any) -> dict[str, Any]:
    metrics = {} if value is None else {"auc": value, "auc_low": value - 0.02, "auc_high": value + 0.02}
    made = {
        "start": f"2013-{4 + week // 4:02}-{week % 4 * 7 + 1:02}T00:00:00.000Z", "column": "", "value": "",
        "end": f"2013-{4 + (week + 1) // 4:02}-{(week + 1) % 4 * 7 + 1:02}T00:00:00.000Z", "predictions": 100,
        "labelled": 90, "complete": True, "mature": mature, "metrics": metrics, "quality": {},
    }  # fmt: skip
    return made | more


def estimate(week: int, value: float | None, mature: bool = True) -> dict[str, Any]:
    said = {"value": value, "low": 0.7, "high": 0.9}
    first = {"first_value": 0.75, "first_low": 0.7, "first_high": 0.8, "realized": 0.8 if mature else None}
    return {"start": window(week)["start"], "mature": mature, "warning": "", **said, **first}


def test_what_is_provisional_stands_on_hatched_ground() -> None:
    windows = [window(0), window(1), window(2, mature=False), window(3, mature=False)]
    plot = web_monitor.performance_plot(windows, "auc", 0.7, [])
    assert plot["areas"] == [
        {"from": windows[2]["start"], "to": windows[3]["end"], "text": "provisional: truth is still to come"}
    ]
    assert plot["series"][0]["hollow"] == [2, 3]
    assert plot["limits"] == [{"at": 0.7, "text": "limit 0.7"}]
    assert web_monitor.provisional(windows[2:]) == []
    assert web_monitor.provisional(windows[:2]) == []


def test_estimates_stand_beside_what_came_true_as_they_were_said_at_the_end() -> None:
    windows = [window(0), window(1, mature=False)]
    plot = web_monitor.performance_plot(windows, "auc", None, [], [estimate(0, 0.85), estimate(1, 0.82, mature=False)])
    realized, estimated = plot["series"]
    assert [point[1] for point in estimated["points"]] == [0.75, 0.82]
    assert estimated["band"] == [[windows[0]["start"], 0.7, 0.8], [windows[1]["start"], 0.7, 0.9]]
    assert estimated["dashed"]
    assert [point[1] for point in realized["points"]] == [0.8, 0.8]
    assert len(web_monitor.performance_plot(windows, "auc", None, [], [estimate(1, None, mature=False)])["series"]) == 1


def test_marks_stand_in_their_order() -> None:
    alerts = [{"first_window": "2013-04-15", "cause": "data_quality"}, {"first_window": "", "cause": "disk"}]
    marks = web_monitor.alert_marks(alerts)
    assert marks == [{"at": "2013-04-15", "text": "data quality", "tone": "bad"}]
    plot = web_monitor.performance_plot([window(0)], "auc", None, [*marks, {"at": "2013-04-02", "text": "version 2"}])
    assert [mark["text"] for mark in plot["marks"]] == ["version 2", "data quality"]


def test_scores_are_those_that_compare_with_truth() -> None:
    metrics = {"auc": 0.8, "auc_low": 0.7, "latency_p99_ms": 3.0, "error_share": 0.0, "label_mean": 0.2, "f1": 0.5}
    assert web_monitor.score_names([window(0, metrics=metrics)]) == ["auc", "f1"]


def test_the_windows_around_the_chosen_one() -> None:
    windows = [window(0), window(1), window(2, complete=False)]
    assert web_drift.chosen_window(windows, "") == windows[1]
    assert web_drift.chosen_window(windows, windows[2]["start"]) == windows[2]
    assert web_drift.chosen_window([], "") is None
    assert web_drift.around(windows, windows[0]) == {"before": "", "after": windows[1]["start"]}
    assert web_drift.around(windows, windows[2]) == {"before": windows[1]["start"], "after": ""}
    assert web_drift.around([], None) == {"before": "", "after": ""}


def test_a_missing_drift_report_says_why() -> None:
    def call(name: str, **fields: Any) -> Any:
        raise NotFound("Version 1 was registered without a training profile.", "Register it with its rows.")

    report, why = web_drift.reported(call, "late", window(0))
    assert report is None
    assert why == "Version 1 was registered without a training profile. Register it with its rows."
    assert web_drift.reported(call, "late", None)[1] == "No window has been evaluated yet."
    assert web_monitor.history(call, "late") == []


def test_a_feature_over_time() -> None:
    cells = [
        {"start": window(week)["start"], "unit": "", "effect": 0.1 * week, "e_value": 10.0**week} for week in range(3)
    ]
    windows = [window(week, quality={"missing": {"wind": 0.01 * week}}) for week in range(3)]
    found = web_drift.courses("wind", cells, windows)
    assert [one["label"].split(" ")[0] for one in found] == ["Effect", "Evidence", "Share"]
    assert web_drift.courses("calm", [], windows) == []


def test_the_delay_curve_ends_where_truth_ever_comes() -> None:
    plot = web_truth.delay_plot({"hours": [1.0, 5.0], "shares": [0.2, 0.9], "expected_share": 0.92})
    assert plot is not None
    assert plot["series"][0]["points"] == [[1.0, 0.2], [5.0, 0.9]]
    assert plot["limits"] == [{"at": 0.92, "text": "92 % ever"}]
    assert web_truth.delay_plot({"hours": [], "shares": [], "expected_share": None}) is None


def test_calibration_beside_what_would_be_right() -> None:
    bins = [{"rows": 9, "predicted": p, "observed": p / 2, "low": 0.0, "high": p} for p in (0.1, 0.9)]
    plot = web_truth.calibration_plot({"bins": bins})
    assert plot is not None
    assert plot["series"][1]["points"] == [[0.1, 0.1], [0.9, 0.9]]
    assert web_truth.calibration_plot({"bins": bins[:1]}) is None
    assert web_truth.calibration_plot(None) is None


@pytest.mark.parametrize(
    ("rules", "budget", "why"),
    [
        ({"metric": "auc", "lower_limit": 0.7}, None, "written in loopline.yaml"),
        ({"quality": [{"metric": "auc", "lower_limit": 0.7}]}, None, "written in loopline.yaml"),
        ({"metric": "auc"}, {"limits": {"auc": 0.7}, "per_quarter": 1.0}, "set by the alert budget of 1 false alarms a quarter"),
        ({"metric": "auc"}, {"limits": {}, "per_quarter": 0.0}, "the baseline that the live version was registered with"),
    ],
)  # fmt: skip
def test_where_a_limit_comes_from(rules: dict[str, Any], budget: dict[str, Any] | None, why: str) -> None:
    assert web_limits.why("auc", rules, budget) == why


def test_the_course_of_one_segment() -> None:
    windows = [window(week, 0.5 + week / 10) | {"value": "AA"} for week in range(4)] + [
        window(1, 0.1) | {"value": "B6"}
    ]
    assert web_segments.course(windows, "AA", "auc", 3) == pytest.approx([0.6, 0.7, 0.8])

"""Drawings made on the server: what is drawn lies where its numbers say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from loopline.usecases.monitoring.drawing import ticks
from loopline.usecases.monitoring.drawing.lines import drawn, runs, spark

pytestmark = pytest.mark.unit


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000


def test_round_numbers() -> None:
    assert ticks.numbers(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks.numbers(0.512, 0.91) == [0.6, 0.7, 0.8, 0.9]
    assert ticks.numbers(-3, 12_000) == [0, 5000, 10000]
    assert ticks.numbers(1, 1) == [1]
    assert ticks.numbers(float("nan"), 1) == []


@pytest.mark.parametrize(
    ("start", "end", "labels"),
    [
        ("2013-04-01", "2013-04-02", ["1 Apr", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "2 Apr"]),
        ("2013-04-01", "2013-04-05", ["1 Apr", "12:00", "2 Apr", "12:00", "3 Apr", "12:00", "4 Apr", "12:00", "5 Apr"]),
        ("2013-04-01", "2013-05-13", ["1 Apr", "8 Apr", "15 Apr", "22 Apr", "29 Apr", "6 May", "13 May"]),
        ("2013-01-15", "2013-07-02", ["Feb 2013", "Mar 2013", "Apr 2013", "May 2013", "Jun 2013", "Jul 2013"]),
        ("2010-06-01", "2016-02-01", ["2011", "2012", "2013", "2014", "2015", "2016"]),
    ],
)
def test_round_times(start: str, end: str, labels: list[str]) -> None:
    assert [text for _, text in ticks.times(at(start), at(end))] == labels


def plot(**changes: Any) -> dict[str, Any]:
    points = [[f"2013-04-{day:02}T00:00:00.000Z", 0.7 + day / 100] for day in (1, 8, 15)]
    return {"x": "time", "series": [{"name": "auc", "points": points, "hollow": [2]}], **changes}


def test_points_bands_and_limits_lie_in_order() -> None:
    band = [[point[0], point[1] - 0.1, point[1] + 0.1] for point in plot()["series"][0]["points"]]
    series = [plot()["series"][0] | {"band": band}]
    found = drawn(plot(series=series, limits=[{"at": 0.6, "text": "limit"}]), 960, 280)
    assert found is not None
    dots = found["series"][0]["dots"]
    assert [dot["hollow"] for dot in dots] == [False, False, True]
    assert dots[0]["x"] < dots[1]["x"] < dots[2]["x"]
    assert dots[0]["y"] > dots[1]["y"] > dots[2]["y"]
    assert dots[1]["x"] - dots[0]["x"] == pytest.approx(dots[2]["x"] - dots[1]["x"], abs=0.2)
    assert found["limits"][0]["y"] > dots[0]["y"]
    assert found["series"][0]["bands"].startswith("M")
    assert found["series"][0]["bands"].endswith("Z")
    assert all(
        found["left"] <= dot["x"] <= found["right"] and found["top"] <= dot["y"] <= found["bottom"] for dot in dots
    )


def test_marks_that_would_run_into_each_other_keep_only_their_title() -> None:
    marks = [{"at": day, "text": text} for day, text in (
        ("2013-04-08", "performance"), ("2013-04-08", "latency"), ("2013-04-12", "version 2"), ("2020-01-01", "far"),
    )]  # fmt: skip
    found = drawn(plot(marks=marks))
    assert found is not None
    assert [(mark["text"], mark["shown"]) for mark in found["marks"]] == [
        ("performance", True), ("latency", False), ("version 2", True),
    ]  # fmt: skip


def test_hatched_ground_reaches_to_its_end() -> None:
    areas = [{"from": "2013-04-15", "to": "2013-04-22", "text": "provisional"}]
    found = drawn(plot(areas=areas))
    assert found is not None
    last = found["series"][0]["dots"][-1]["x"]
    assert found["areas"][0]["x"] == pytest.approx(last, abs=0.2)
    assert found["areas"][0]["width"] > 100


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawn({"x": "time", "series": [{"name": "auc", "points": []}]}) is None
    assert spark([], 0.7) == {}
    assert spark([None], None) == {}


def test_a_gap_breaks_the_line_and_a_lone_point_can_be_seen() -> None:
    assert runs([(0, 0), (1, 1), None, (3, 3)]) == ["M0 0L1 1", "M3 3L3.1 3"]


def test_one_flat_value() -> None:
    found = drawn({"x": "time", "series": [{"name": "a", "points": [["2013-04-01", 5.0]]}]})
    assert found is not None
    assert len(found["series"][0]["dots"]) == 1


def test_a_spark_knows_its_last_point_and_its_limit() -> None:
    line = spark([0.8, None, 0.6], 0.7)
    assert line["last"][0] == pytest.approx(117)
    assert 3 < line["limit"] < 23
    assert line["path"].count("M") == 2

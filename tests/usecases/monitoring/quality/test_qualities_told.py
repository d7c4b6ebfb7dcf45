"""What the verbs of performance tell, from a book in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from loopline.core.errors import Invalid, NotFound
from loopline.core.times import from_ms
from loopline.core.verbs import Caller, Role
from loopline.usecases.monitoring import quality_api
from loopline.usecases.monitoring.model import LabelDelay, MonitorConfig, Summary, Window
from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.quality.measuring import measured
from loopline.usecases.monitoring.model.quality.tallying import Rows, tallied
from loopline.usecases.monitoring.model.tallies import Tally

pytestmark = pytest.mark.unit
ANN = Caller("ann", Role.VIEWER)
DAYS = 20


class Book:
    """Rows of twenty days, by carrier."""

    def __init__(self, config: MonitorConfig, numbers: bool = False) -> None:
        rng = np.random.default_rng(0)
        count = 4000
        self.event = np.sort(rng.integers(0, DAYS * DAY_MS, count))
        self.carrier = rng.choice(["AA", "UA"], count)
        odds = rng.normal(-1, 1.5, count)
        truth = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(float) + 3 * numbers
        scores = 1 / (1 + np.exp(-odds))
        self.rows = Rows(scores, truth, np.zeros(count, bool), np.full(count, np.nan), self.event, self.event)
        self.config = config

    def tallies(self, start_ms: int, end_ms: int, column: str = "", value: str = "") -> Mapping[int, Tally]:
        mine = np.ones(len(self.event), bool)
        if column == "carrier":
            mine = self.carrier == value
        elif column and value != "3":
            mine = np.zeros(len(self.event), bool)
        mine &= (self.event >= start_ms) & (self.event < end_ms)
        days = self.event // DAY_MS
        return {
            int(d) * DAY_MS: tallied(self.rows.take(mine & (days == d)), self.config) for d in np.unique(days[mine])
        }

    def values(self, column: str) -> Sequence[str]:
        return ["AA", "UA"] if column == "carrier" else []


def service(numbers: bool = False, **written: Any) -> Any:
    config = MonitorConfig(window="day", protected=("carrier",), minimum_labels=100, **written)
    book = Book(config, numbers)
    learned = LabelDelay(
        p50_hours=2, p90_hours=4, p99_hours=6, expected_share=1.0, settled=True, hours=(2, 6), shares=(0.5, 1)
    )
    windows = []
    for day in range(DAYS):
        tallies = book.tallies(day * DAY_MS, (day + 1) * DAY_MS)
        rows = sum(one.rows for one in tallies.values())
        windows.append(
            Window(
                start=from_ms(day * DAY_MS), end=from_ms((day + 1) * DAY_MS), column="", value="", predictions=rows,
                labelled=rows if day < 19 else rows // 2, complete=day < 19, mature=day < 18,
                metrics=measured(tallies, config),
            )
        )  # fmt: skip
    summary = Summary(
        endpoint="late", window="day", metric="auc", model="late", version=3, limit=0.7, limits={"auc": 0.7},
        watermark=from_ms(DAYS * DAY_MS - 1), predictions=4000, labelled=3900, truth_records=3900, duplicates=0,
        corrections=0, orphans=0, label_delay=learned, mature_windows=18, provisional_windows=2,
        mature_until=from_ms(18 * DAY_MS),
    )  # fmt: skip
    return SimpleNamespace(
        summary=lambda endpoint: summary,
        rules=lambda endpoint: config,
        windows=lambda endpoint, column, since, until: windows if not column else [],
        book=lambda endpoint: book,
    )


def test_each_window_says_how_good_and_how_much_truth_has_arrived() -> None:
    found = quality_api.performance(service(), quality_api.PerformanceOf("late"), ANN)
    assert [row.state for row in found.rows[-3:]] == ["mature", "provisional", "open"]
    last = found.rows[-1]
    assert last.arrived == pytest.approx(0.5, abs=0.01)
    assert last.truth_share == pytest.approx(0.5, abs=0.01)
    auc = found.rows[0].metrics["auc"]
    assert auc.low is not None
    assert auc.high is not None
    assert auc.low < auc.value < auc.high
    assert "latency_p99_ms" not in found.rows[0].metrics
    assert found.limits == {"auc": 0.7}
    assert not found.rows[0].few
    assert msgspec.json.encode(found)


def test_what_was_predicted_with_a_probability_came_true_as_often() -> None:
    found = quality_api.calibration(service(), quality_api.CalibrationOf("late"), ANN)
    assert len(found.bins) == 10
    assert sum(one.rows for one in found.bins) == found.labelled == 4000
    assert [one.predicted for one in found.bins] == sorted(one.predicted for one in found.bins)
    within = sum(
        one.low <= one.predicted <= one.high for one in found.bins if one.low is not None and one.high is not None
    )
    assert within >= 8
    assert found.ece is not None
    assert found.ece < 0.04
    one = quality_api.calibration(service(), quality_api.CalibrationOf("late", "carrier", "UA"), ANN)
    assert one.labelled < 4000
    with pytest.raises(Invalid, match="not probabilities"):
        quality_api.calibration(service(numbers=True), quality_api.CalibrationOf("late"), ANN)
    empty = quality_api.calibration(
        service(), quality_api.CalibrationOf("late", since="1980-01-01", until="1980-02-01"), ANN
    )
    assert (empty.bins, empty.ece) == ([], None)
    with pytest.raises(Invalid, match="There is no day"):
        quality_api.calibration(
            service(), quality_api.CalibrationOf("late", since="1980-01-01", until="1979-02-01"), ANN
        )


def test_the_delay_says_how_long_a_window_waits() -> None:
    found = quality_api.delay(service(), quality_api.DelayOf("late"), ANN)
    assert (found.wait_hours, found.written) == (6, False)
    found = quality_api.delay(service(label_delay_hours=30.0), quality_api.DelayOf("late"), ANN)
    assert (found.wait_hours, found.written) == (30, True)


def test_a_metric_settles_look_after_look() -> None:
    found = quality_api.looks(service(), quality_api.LooksOf("late"), ANN)
    assert (found.metric, found.column, found.value, len(found.looks)) == ("auc", "version", "3", DAYS)
    assert [look.low is None for look in found.looks[:6]] == [True] * 4 + [False] * 2
    first, last = found.looks[5], found.looks[-1]
    assert first.low is not None
    assert first.high is not None
    assert last.low is not None
    assert last.high is not None
    assert last.high - last.low < first.high - first.low
    assert last.labelled == 4000
    with pytest.raises(NotFound, match="no 'rmse'"):
        quality_api.looks(service(), quality_api.LooksOf("late", "rmse"), ANN)
    with pytest.raises(NotFound, match="no 'auc'"):
        quality_api.looks(service(), quality_api.LooksOf("late", "auc", "version", "9"), ANN)


def test_protected_groups_are_compared() -> None:
    found = quality_api.fairness(service(), quality_api.FairnessAsked("late"), ANN)
    (carrier,) = found.columns
    assert [group.value for group in carrier.groups] == ["AA", "UA"]
    assert {one.name for one in carrier.disparities} >= {"demographic_parity_difference", "equalized_odds_ratio"}
    with pytest.raises(Invalid, match="no protected column 'origin'"):
        quality_api.fairness(service(), quality_api.FairnessAsked("late", "origin"), ANN)

"""How late truth comes, when much of it is still on its way."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.usecases.monitoring.model.arrays import DAY_MS, HOUR_MS, NO_TIME
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.quality.delays import label_delay
from loopline.usecases.monitoring.model.quality.maturity import arrived, matured, share_by, wait_hours
from loopline.usecases.monitoring.model.quality.tallying import Rows, tallied
from loopline.usecases.monitoring.model.tallies import Tally
from loopline.usecases.monitoring.model.windows import LabelDelay

pytestmark = pytest.mark.unit

CONFIG = MonitorConfig()


def days(count: int, until: float, told: float, hours: float, seed: int = 0, bucket: int = DAY_MS) -> dict[int, Tally]:
    """`count` predictions in `until` days; the truth of `told` of them comes after a gamma of that mean, seen at the end."""
    rng = np.random.default_rng(seed)
    event = np.sort(rng.integers(0, int(until * DAY_MS), count))
    known = event + (rng.gamma(2, hours / 2, count) * HOUR_MS).astype(np.int64)
    here = (known <= until * DAY_MS) & (rng.random(count) < told)
    truth = np.where(here, (rng.random(count) < 0.3).astype(float), np.nan)
    rows = Rows(
        rng.random(count), truth, np.zeros(count, bool), np.full(count, np.nan), event, np.where(here, known, NO_TIME)
    )
    starts = event // bucket
    return {int(start) * bucket: tallied(rows.take(starts == start), CONFIG) for start in np.unique(starts)}


@pytest.mark.parametrize("told", [0.6, 1.0])
@pytest.mark.parametrize("bucket", [HOUR_MS, DAY_MS])
def test_the_curve_is_that_of_all_truth_though_the_youngest_still_wait(told: float, bucket: int) -> None:
    found = label_delay(days(40_000, 12, told, 30, bucket=bucket), 12 * DAY_MS)
    reference = np.random.default_rng(9).gamma(2, 15, 1_000_000)
    p50, p90, p99 = np.quantile(reference, [0.5, 0.9, 0.99])
    assert found.settled
    assert found.expected_share == pytest.approx(told, abs=0.015)
    assert found.p50_hours == pytest.approx(p50, rel=0.03)
    assert found.p90_hours == pytest.approx(p90, rel=0.03)
    assert found.p99_hours == pytest.approx(p99, rel=0.08)
    for hours in (10.0, 30.0, 60.0):
        assert share_by(found, hours) == pytest.approx(told * (reference <= hours).mean(), abs=0.03)
    # Of what has arrived by now alone, half came much sooner.
    assert len(found.hours) == len(found.shares) <= 60


def test_a_feed_that_has_just_begun_is_not_settled() -> None:
    found = label_delay(days(5000, 1.5, 1.0, 60), int(1.5 * DAY_MS))
    assert not found.settled
    assert found.expected_share is not None
    assert found.expected_share < 0.9
    assert arrived(100, 40, found) is None


def test_without_truth_nothing_is_known() -> None:
    assert label_delay(days(300, 3, 0.0, 10), 3 * DAY_MS) == LabelDelay()
    assert label_delay({}, 0) == LabelDelay()
    assert share_by(LabelDelay(), 5) is None


def test_few_rows_still_tell_what_there_is() -> None:
    found = label_delay(days(20, 10, 1.0, 5), 20 * DAY_MS)
    assert found.p50_hours == pytest.approx(4, rel=0.6)
    assert found.expected_share == pytest.approx(1.0, abs=0.1)
    assert not found.settled


def test_a_window_is_mature_when_the_wait_after_its_end_is_over() -> None:
    learned = LabelDelay(p50_hours=1, p90_hours=5, p99_hours=10, expected_share=0.8, settled=True)
    assert wait_hours(learned, CONFIG) == 10
    assert wait_hours(learned, MonitorConfig(label_delay_hours=3)) == 3
    assert wait_hours(LabelDelay(p99_hours=10), CONFIG) is None
    assert not matured(0, 10 * HOUR_MS - 1, learned, CONFIG)
    assert matured(0, 10 * HOUR_MS, learned, CONFIG)
    assert arrived(100, 40, learned) == pytest.approx(0.5)
    assert arrived(100, 90, learned) == 1.0

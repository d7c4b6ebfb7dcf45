"""One may look after every day."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.quality.looks import any_time, measured_any
from loopline.usecases.monitoring.model.quality.measuring import measured
from loopline.usecases.monitoring.model.quality.scoring import error_of, interval, ratio, reach
from loopline.usecases.monitoring.model.quality.tallying import Rows, tallied

pytestmark = pytest.mark.unit


def test_all_looks_of_a_course_cover_the_truth_where_plain_intervals_do_not() -> None:
    rng = np.random.default_rng(11)
    runs, most = 300, 60
    missed_any = missed_plain = 0
    for _ in range(runs):
        counts = rng.integers(20, 60, most).astype(float)
        rates = np.clip(0.3 + rng.normal(0, 0.05, most), 0, 1)  # days differ, too
        tops = rng.binomial(counts.astype(int), rates).astype(float)
        looks = [(ratio("brier", tops[:n], counts[:n], float(tops[:n].sum())), np.arange(n)) for n in range(5, most)]
        spans = [any_time(score, days) for score, days in looks]
        missed_any += any(span is None or not span[0] <= 0.3 <= span[1] for span in spans)
        missed_plain += any(not _plain(score, days)[0] <= 0.3 <= _plain(score, days)[1] for score, days in looks[::6])
    assert missed_any / runs <= 0.05
    assert missed_plain / runs > 0.08


def _plain(score, days):  # type: ignore[no-untyped-def]
    error, degrees, _ = error_of(score, days)
    return interval(score, error, reach(0.95, degrees))


def test_they_are_wider_than_plain_ones_and_wait_for_five_days() -> None:
    rng = np.random.default_rng(2)
    tallies = {}
    for day in range(12):
        scores = rng.random(200)
        truth = (rng.random(200) < scores).astype(float)
        times = np.full(200, day * DAY_MS)
        rows = Rows(scores, truth, np.zeros(200, bool), np.full(200, np.nan), times, times)
        tallies[day * DAY_MS] = tallied(rows, MonitorConfig())
    plain, always = measured(tallies, MonitorConfig()), measured_any(tallies, MonitorConfig())
    for name in ("auc", "log_loss", "f1"):
        assert always[f"{name}_low_any"] < plain[f"{name}_low"] < plain[f"{name}_high"] < always[f"{name}_high_any"]
    assert measured_any(dict(list(tallies.items())[:4]), MonitorConfig()) == {}
    assert measured_any({}, MonitorConfig()) == {}

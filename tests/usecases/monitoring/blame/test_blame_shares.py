"""The parts of a change sum to the change, and a planted cause comes first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.usecases.monitoring.model.blame.explain import explained
from loopline.usecases.monitoring.model.blame.rows import Rows, blocks, coded, joined
from loopline.usecases.monitoring.model.blame.shares import by_value, shares
from loopline.usecases.monitoring.model.blame.values import row_values, value_over

pytestmark = pytest.mark.unit
DAY = 86_400_000
CARRIERS = np.array(["AA", "B6", "DL", "EV", "UA", "WN", "MQ"])


def table(seed: int, then_days: int = 28, now_days: int = 7, a_day: int = 600) -> dict[str, Any]:
    """Predictions with a day effect of their own, the last days being now."""
    rng = np.random.default_rng(seed)
    days = then_days + now_days
    count = days * a_day
    day = np.repeat(np.arange(days), a_day)
    truth = (rng.random(count) < 0.3).astype(float)
    skill = 2.0 + rng.normal(0, 0.25, days)[day]
    return {
        "rng": rng,
        "time": day * DAY + rng.integers(0, DAY, count),
        "now": day >= then_days,
        "carrier": CARRIERS[rng.integers(0, len(CARRIERS), count)],
        "dep_time": rng.normal(13, 4, count),
        "distance": rng.exponential(800, count),
        "truth": truth,
        "skill": skill,
    }


def scored(made: dict[str, Any]) -> np.ndarray[Any, Any]:
    noise = made["rng"].normal(size=len(made["truth"]))
    return np.asarray(1 / (1 + np.exp(-(made["skill"] * (made["truth"] - 0.5) * 2 + noise - 0.5))))


def rows_of(made: dict[str, Any], metric: str) -> Rows:
    scores = scored(made)
    value = row_values(metric, made["truth"], scores, made["now"])
    assert value is not None
    made["value_of"] = value_over(metric, made["truth"], scores, None)
    names = [name for name in ("carrier", "dep_time", "distance", "version") if name in made]
    columns = joined([coded(name, pa.chunked_array([pa.array(made[name])]), made["now"]) for name in names])
    return Rows(value, made["now"], blocks(made["time"], made["now"]), columns)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(-3, 3))
def test_the_shares_of_any_segments_and_the_rest_sum_to_the_change(seed: int, count: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    value, now = rng.normal(size=400), rng.random(400) < 0.4
    part = rng.integers(0, count + 1, 400)
    value = value + shift * now * (part == 1)
    found, rest = shares(value, now, [part == place for place in range(1, count + 1)])
    change = value[now].mean() - value[~now].mean()
    assert sum(one.whole for one in found) + rest == pytest.approx(change, abs=1e-9)
    table = by_value(value, now, part, count + 1)
    assert sum(one.whole for one in table) == pytest.approx(change, abs=1e-9)


@pytest.mark.parametrize("metric", ["auc", "log_loss", "brier", "accuracy"])
def test_the_mean_of_the_rows_values_is_the_metric(metric: str) -> None:
    from sklearn import metrics

    made = table(1, 6, 6, 100)
    scores, now = scored(made), made["now"]
    value = row_values(metric, made["truth"], scores, now)
    assert value is not None
    oracle = {
        "auc": metrics.roc_auc_score,
        "log_loss": metrics.log_loss,
        "brier": metrics.brier_score_loss,
        "accuracy": lambda truth, score: metrics.accuracy_score(truth, score > 0.5),
    }[metric]
    for side in (now, ~now):
        assert value[side].mean() == pytest.approx(oracle(made["truth"][side], scores[side]), abs=1e-9)


@pytest.mark.parametrize("metric", ["auc", "log_loss", "brier"])
def test_one_carrier_that_went_bad_is_named_first_with_most_of_the_drop(metric: str) -> None:
    made = table(2)
    bad = (made["carrier"] == "EV") & made["now"]
    made["skill"] = np.where(bad, -1.0, made["skill"])
    found = explained(rows_of(made, metric), value_of=made["value_of"])
    one, _, share = found.segments[0]
    assert one.told() == "carrier = 'EV'"
    assert 0.8 <= share.whole / found.change <= 1.25
    assert abs(share.within) > abs(share.mix)
    assert sum(part.whole for _, _, part in found.segments) + found.rest == pytest.approx(found.change, abs=1e-9)


def test_a_carrier_that_was_bad_before_and_flies_more_now_is_a_mix_change() -> None:
    made = table(3)
    easy = made["now"] & (made["rng"].random(len(made["now"])) < 0.4)
    made["carrier"] = np.where(easy, "EV", made["carrier"])
    made["skill"] = np.where(made["carrier"] == "EV", -0.5, made["skill"])
    found = explained(rows_of(made, "brier"))
    one, _, share = found.segments[0]
    assert one.told() == "carrier = 'EV'"
    assert share.mix / found.change >= 0.8


def test_a_bad_version_beside_a_good_one_is_named_first() -> None:
    made = table(4)
    second = made["now"] & (made["rng"].random(len(made["now"])) < 0.3)
    made["version"] = np.where(second, "2", "1")
    made["skill"] = np.where(second, 0.0, made["skill"])
    found = explained(rows_of(made, "log_loss"))
    assert found.segments[0][0].told() == "version = '2'"
    assert found.segments[0][2].whole / found.change >= 0.8


def test_two_columns_together_are_found() -> None:
    made = table(5)
    bad = (made["carrier"] == "EV") & made["now"] & (made["dep_time"] > 15)
    made["skill"] = np.where(bad, -2.0, made["skill"])
    one, _, share = explained(rows_of(made, "brier")).segments[0]
    assert "carrier = 'EV'" in one.told()
    assert "dep_time" in one.told()
    assert share.whole > 0


def test_noise_is_not_blamed_on_a_segment() -> None:
    """A drop of everything alike, with days that differ, names no segment in most tables."""
    named = 0
    for seed in range(20):
        made = table(100 + seed, 14, 7, 200)
        made["skill"] = made["skill"] - 0.8 * made["now"]
        named += bool(explained(rows_of(made, "brier"), seed).segments)
    assert named <= 4

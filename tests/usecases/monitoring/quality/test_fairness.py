"""Protected groups compared, by the definitions written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.quality.fairness import fairness
from loopline.usecases.monitoring.model.quality.tallying import Rows, tallied, texts

pytestmark = pytest.mark.unit
CONFIG = MonitorConfig(threshold=0.4)


def population(
    seed: int, count: int, days: int, unfair: float = 0.0, names: str = "abc"
) -> dict[str, np.ndarray[Any, Any]]:
    """Scores and outcomes of groups; those of the last group are called positive more often by `unfair` in log-odds."""
    rng = np.random.default_rng(seed)
    group = rng.choice(list(names), count)
    event = np.sort(rng.integers(0, days * DAY_MS, count))
    odds = rng.normal(-0.5, 1.2, count)
    truth = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(float)
    scores = 1 / (1 + np.exp(-odds - unfair * (group == names[-1])))
    return {"group": group, "event": event, "truth": truth, "scores": scores}


def told(made: dict[str, np.ndarray[Any, Any]], **known: Any) -> Any:
    groups = {}
    count = len(made["event"])
    rows = Rows(
        made["scores"],
        made["truth"],
        np.zeros(count, bool),
        np.full(count, np.nan),
        made["event"],
        made["event"],
        **known,
    )
    for value in np.unique(made["group"]):
        groups[str(value)] = {
            int(day) * DAY_MS: tallied(rows.take((made["group"] == value) & (made["event"] // DAY_MS == day)), CONFIG)
            for day in np.unique(made["event"] // DAY_MS)
        }
    return fairness("group", groups)


def by_hand(made: dict[str, np.ndarray[Any, Any]]) -> dict[str, float]:
    called, truth = made["scores"] > 0.4, made["truth"] == 1
    parts = [made["group"] == value for value in np.unique(made["group"])]
    selected = [called[part].mean() for part in parts]
    tpr = [called[part & truth].mean() for part in parts]
    fpr = [called[part & ~truth].mean() for part in parts]
    right = [(called == truth)[part].mean() for part in parts]

    def apart(rates: list[float]) -> float:
        return max(rates) - min(rates)

    def ratio(rates: list[float]) -> float:
        return min(rates) / max(rates)

    return {
        "demographic_parity_difference": apart(selected),
        "demographic_parity_ratio": ratio(selected),
        "equal_opportunity_difference": apart(tpr),
        "equal_opportunity_ratio": ratio(tpr),
        "equalized_odds_difference": max(apart(tpr), apart(fpr)),
        "equalized_odds_ratio": min(ratio(tpr), ratio(fpr)),
        "accuracy_difference": apart(right),
    }


@pytest.mark.parametrize("days", [1, 14])
def test_disparities_are_those_of_the_definitions(days: int) -> None:
    made = population(3, 6000, days, unfair=0.8)
    found, expected = told(made), by_hand(made)
    disparities = {one.name: one for one in found.disparities}
    assert set(disparities) == set(expected)
    for name, value in expected.items():
        one = disparities[name]
        assert one.value == pytest.approx(value), name
        assert one.low < one.value < one.high, name
    parity = disparities["demographic_parity_difference"]
    assert (parity.largest, parity.low > 0.05) == ("c", True)
    assert disparities["demographic_parity_ratio"].high < 1
    group = found.groups[0]
    assert (group.value, group.predictions, group.few) == ("a", int((made["group"] == "a").sum()), ())
    rate = group.rates["true_positive_rate"]
    assert rate.low < rate.value < rate.high


def test_the_definitions_are_those_of_fairlearn() -> None:
    from fairlearn import metrics

    made = population(3, 6000, 14, unfair=0.8)
    found = {one.name: one.value for one in told(made).disparities}
    truth, called = made["truth"].astype(int), (made["scores"] > 0.4).astype(int)
    for name in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        for kind in ("difference", "ratio"):
            expected = getattr(metrics, f"{name}_{kind}")(truth, called, sensitive_features=made["group"])
            assert found[f"{name}_{kind}"] == pytest.approx(expected)


def test_groups_that_are_treated_alike_are_rarely_called_apart() -> None:
    runs = 30
    wrong = 0
    for seed in range(runs):
        found = told(population(seed, 1200, 6, names="abcde"))
        wrong += next(one for one in found.disparities if one.name == "demographic_parity_difference").low > 0
    assert wrong / runs <= 0.08


def test_small_groups_are_marked_and_not_compared() -> None:
    made = population(5, 3000, 8)
    made["group"][:20] = "z"
    made["scores"][:20] = 0.99
    found = told(made)
    small = found.groups[-1]
    assert (small.value, "selection_rate" in small.few) == ("z", True)
    assert all("z" not in (one.largest, one.smallest) for one in found.disparities)
    assert small.rates["selection_rate"].value == 1.0
    assert small.rates["selection_rate"].low < 0.95


def test_selection_is_known_before_truth_has_come() -> None:
    made = population(5, 3000, 8, unfair=1.0)
    made["truth"][:] = np.nan
    found = told(made)
    assert [one.name for one in found.disparities] == ["demographic_parity_difference", "demographic_parity_ratio"]


def test_numbers_are_compared_by_their_error_and_texts_by_how_often_they_are_right() -> None:
    made = population(5, 3000, 8)
    rng = np.random.default_rng(1)
    made["truth"] = made["scores"] * 10 + rng.normal(0, 1 + (made["group"] == "c"), 3000)
    found = {one.name: one for one in told(made).disparities}
    assert found["mean_absolute_error_difference"].largest == "c"
    assert found["mean_absolute_error_difference"].low > 0
    labels = texts(["x"] * 3000)
    called = texts(["y" if wrong else "x" for wrong in rng.random(3000) < 0.3 + 0.2 * (made["group"] == "a")])
    made["scores"], made["truth"] = np.full(3000, np.nan), np.full(3000, np.nan)
    found = {one.name: one for one in told(made, labels=labels, predicted_text=called).disparities}
    assert list(found) == ["accuracy_difference"]
    assert found["accuracy_difference"].smallest == "a"


def test_one_group_alone_is_apart_from_nobody() -> None:
    made = population(5, 500, 8, names="a")
    assert all(one.value is None for one in told(made).disparities)
    assert fairness("group", {}).groups == []

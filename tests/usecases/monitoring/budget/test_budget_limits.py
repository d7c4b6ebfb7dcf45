"""Limits chosen under a budget keep it on windows that come after, over many simulated histories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopline.usecases.monitoring.model.budget.choosing import Past, weighed
from loopline.usecases.monitoring.model.budget.simulating import alarms, delays, effective

pytestmark = pytest.mark.unit
HISTORIES, QUARTERS = 16, 20


def series(rng: Any, count: int, law: str) -> Any:
    """Unit spread: independent, with heavy tails, or leaning on the window before."""
    if law == "normal":
        return rng.normal(size=count)
    if law == "heavy":
        return rng.standard_t(4, size=count) / np.sqrt(2)
    noise, found = rng.normal(size=count) * np.sqrt(1 - 0.5**2), np.zeros(count)
    for place in range(count):
        found[place] = noise[place] + (0.5 * found[place - 1] if place else 0.0)
    return found


def past(values: Any, quarter: float, metric: str = "auc", **shape: Any) -> Past:
    return Past({metric: values}, ["1"] * len(values), shape.pop("wrong", {}), "1", quarter)


@pytest.mark.parametrize("law", ["normal", "heavy", "neighbours"])
@pytest.mark.parametrize(("windows", "quarter", "budget"), [(16, 13, 0.5), (60, 91, 1.0)])
def test_the_budget_is_kept_on_what_comes_after(law: str, windows: int, quarter: int, budget: float) -> None:
    """16 histories, each followed by 20 quarters: the mean of false alarms lies near the budget (0.43 to 1.13 times it in
    larger runs with 60 histories)."""
    rng, found = np.random.default_rng(7), []
    for seed in range(HISTORIES):
        run = 0.7 + 0.03 * series(rng, windows + QUARTERS * quarter, law)
        best = weighed(past(run[:windows], quarter), budget, seed=seed).options[0]
        later = run[windows:].reshape(QUARTERS, quarter)
        found.append(alarms(later < best.limits["auc"], best.consecutive).mean())
    assert 0.15 * budget <= np.mean(found) <= 1.6 * budget


def test_a_larger_budget_and_a_loss() -> None:
    rng = np.random.default_rng(3)
    values = 0.5 + 0.05 * rng.normal(size=60)
    few, many = (weighed(past(values, 13, "log_loss"), budget).options[0] for budget in (0.1, 2.0))
    assert few.limits["log_loss"] > many.limits["log_loss"] > 0.5
    assert few.delay >= many.delay
    assert few.expected <= 0.1


def test_what_other_causes_cost_is_left_to_fewer_alarms_of_performance() -> None:
    rng = np.random.default_rng(4)
    values, wrong = 0.7 + 0.03 * rng.normal(size=52), [place % 26 == 3 for place in range(52)]
    alone = weighed(past(values, 13), 1.0, (1,))
    beside = weighed(past(values, 13, wrong={"errors": wrong}), 1.0, (1,))
    assert 0.2 < beside.by_cause["errors"] < 0.8
    assert beside.options[0].limits["auc"] < alone.options[0].limits["auc"]
    assert beside.options[0].expected <= 1.0
    crowded = weighed(past(values, 13, wrong={"errors": [place % 4 == 0 for place in range(52)]}), 1.0, (1,))
    assert crowded.crowded


def test_alarms_are_counted_when_a_run_is_long_enough() -> None:
    wrong = np.array([[1, 1, 0, 1, 1, 1, 1, 0, 1]], dtype=bool)
    assert [alarms(wrong, many)[0] for many in (1, 2, 3, 4, 5)] == [3, 2, 1, 1, 0]
    assert [delays(wrong, many)[0] for many in (1, 2, 3, 5)] == [1, 2, 6, 10]


def test_neighbours_that_move_together_count_less() -> None:
    rng = np.random.default_rng(5)
    alone, together = (series(rng, 400, law)[:, None] for law in ("normal", "neighbours"))
    assert effective(alone) > 300
    assert 90 < effective(together) < 190


def test_versions_have_a_level_of_their_own() -> None:
    rng = np.random.default_rng(6)
    values = np.concatenate((0.6 + 0.01 * rng.normal(size=20), 0.8 + 0.01 * rng.normal(size=20)))
    found = weighed(Past({"auc": values}, ["1"] * 20 + ["2"] * 20, {}, "2", 13), 0.5)
    assert found.levels.level["auc"] == pytest.approx(0.8, abs=0.01)
    assert found.options[0].limits["auc"] > 0.75

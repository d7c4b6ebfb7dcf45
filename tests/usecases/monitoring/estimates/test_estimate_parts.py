"""The parts of an estimate beside what others compute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from loopline.core.tables import Column
from loopline.usecases.monitoring.model.estimates.arrivals import arrivals, still_one
from loopline.usecases.monitoring.model.estimates.calibration import additive, isotonic, ridge, sigmoid
from loopline.usecases.monitoring.model.estimates.expected import expected, scored
from loopline.usecases.monitoring.model.estimates.forecasts import Asked
from loopline.usecases.monitoring.model.estimates.learning import learned, realized
from loopline.usecases.monitoring.model.estimates.levels import draws, posterior, sizes_of
from loopline.usecases.monitoring.model.estimates.mixing import reach, weights
from loopline.usecases.monitoring.model.estimates.rows import Rows, rows_of, sampled

pytestmark = pytest.mark.unit
INPUTS = [(Column("wind", "float", True), "wind"), (Column("id", "string"), "input.id")]


def rows(count: int = 4000, seed: int = 0, **changes: Any) -> Rows:
    """Rows whose truth follows the score, and wind and an input called id beside it."""
    rng = np.random.default_rng(seed)
    wind, name = rng.normal(size=count), rng.integers(0, 3, count)
    odds = rng.normal(size=count)
    truth = rng.random(count) < 1 / (1 + np.exp(-(odds + wind + (name == 2))))
    moments = pa.array(np.arange(count) * 60_000, pa.timestamp("ms", tz="UTC"))
    columns = {
        "id": [str(i) for i in range(count)], "event_time": moments, "version": np.ones(count, dtype="int32"),
        "prediction": 1 / (1 + np.exp(-odds)), "truth": truth.astype(float), "known_at": moments,
        "wind": pa.array(np.where(rng.random(count) < 0.05, np.nan, wind)),
        "input.id": [["a", "b", None][i] for i in name],
    }  # fmt: skip
    return rows_of(pa.table(columns | changes), INPUTS)


def test_metrics_of_known_truth_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random(500) < 0.4).astype(float)
    score = np.round(0.3 * truth + 0.7 * rng.random(500), 2)
    table, called = scored(score, 0.5, naive=-score), score > 0.5
    wanted = {
        "auc": metrics.roc_auc_score(truth, score),
        "pr_auc": metrics.average_precision_score(truth, score),
        "accuracy": metrics.accuracy_score(truth, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, called),
        "precision": metrics.precision_score(truth, called),
        "recall": metrics.recall_score(truth, called),
        "specificity": metrics.recall_score(1 - truth, ~called),
        "f1": metrics.f1_score(truth, called),
        "mcc": metrics.matthews_corrcoef(truth, called),
        "log_loss": metrics.log_loss(truth, np.clip(score, 1e-7, 1 - 1e-7)),
        "brier": metrics.brier_score_loss(truth, score),
        "lead": 2 * metrics.roc_auc_score(truth, score) - 1,
        "cost": float((2 * (called & (truth < 0.5)) + 5 * (~called & (truth > 0.5))).mean()),
    }
    costs = {"false_positive": 2.0, "false_negative": 5.0}
    for metric, value in wanted.items():
        assert expected(metric, table, truth, costs) == pytest.approx(value), metric
    assert np.isnan(expected("auc", table, np.zeros(500)))


def test_expected_metrics_are_means_over_labels_that_may_come() -> None:
    rng = np.random.default_rng(2)
    score = rng.random(800)
    table = scored(score, 0.5)
    drawn = [(rng.random(800) < score).astype(float) for _ in range(300)]
    for metric in ("auc", "pr_auc", "f1", "precision", "mcc", "log_loss", "brier"):
        found = np.mean([expected(metric, table, labels) for labels in drawn])
        assert expected(metric, table, score) == pytest.approx(found, abs=0.006), metric


def test_rising_steps_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    score = np.round(rng.random(600), 2)
    truth = (rng.random(600) < score).astype(float)
    here = rows(600, prediction=score)
    other = IsotonicRegression(out_of_bounds="clip").fit(score, truth).predict(score)
    assert isotonic(score, truth)(here) == pytest.approx(np.clip(other, 1e-4, 1 - 1e-4))


def test_the_additive_model_learns_what_inputs_add_to_the_score() -> None:
    train, later = rows(20_000, seed=4), rows(20_000, seed=5)
    model = additive(train, train.truth)
    assert set(model.columns.edges) == {"wind"}
    columns, spread = model.columns.columns(later), later.score
    matrix = np.column_stack([columns.line, *(np.eye(count)[codes] for codes, count in columns.steps)])
    assert matrix @ model.weights == pytest.approx(model.columns.sum(later, model.weights))
    assert matrix.T @ spread == pytest.approx(columns.against(spread))
    assert (matrix * spread[:, None]).T @ matrix == pytest.approx(columns.curve(spread))
    plain = metrics.roc_auc_score(later.truth, later.score)
    assert metrics.roc_auc_score(later.truth, model(later)) > plain + 0.05
    windy = later.numbers["wind"] > 0.5
    assert model(later)[windy].mean() == pytest.approx(later.truth[windy].mean(), abs=0.03)
    empty = later.texts["id"].codes == len(later.texts["id"].names) - 1
    assert model(later)[empty].mean() == pytest.approx(later.truth[empty].mean(), abs=0.03)


def test_expected_losses_are_never_negative_and_follow_the_inputs() -> None:
    here = rows(10_000, seed=6)
    wind = np.nan_to_num(here.numbers["wind"])
    model = ridge(here, np.abs(wind))
    assert model(here).min() > 0
    assert np.corrcoef(model(here), np.abs(wind))[0, 1] > 0.7


def test_labels_that_come_sooner_are_no_fair_sample() -> None:
    """Ones are told within a week, zeros within four: after five days silence speaks for zero."""
    rng = np.random.default_rng(7)
    truth = (rng.random(20_000) < 0.3).astype(float)
    delay = (rng.random(20_000) * np.where(truth > 0.5, 7, 28) * 86_400_000).astype("int64")
    told = arrivals(truth, delay, 20_000)
    age = np.full(1, 5 * 86_400_000)
    chance = float(still_one(np.array([0.3]), told.untold(age, 1), told.untold(age, 0))[0])
    silent = delay > age[0]
    assert chance == pytest.approx(truth[silent].mean(), abs=0.01)
    assert chance < 0.2


def test_a_level_is_found_where_it_was_planted_and_unsure_beyond() -> None:
    rng = np.random.default_rng(8)
    at = np.arange(60.0)
    planted = np.where(at < 40, 0.0, 0.6)
    observed = planted + rng.normal(size=60) * 0.1
    sizes = sizes_of(at, observed, np.full(60, 0.01), (0.0005, 0.01, 0.05), (0.001, 0.03, 0.1))
    level = posterior(at, observed, np.full(60, 0.01), np.array([50.0, 65.0, 200.0]), sizes)
    assert level.mean[0] == pytest.approx(0.6, abs=0.15)
    assert abs(level.mean[2]) < 0.1
    assert np.all(np.diff(np.diag(level.covariance)) > 0)
    many = draws(level, 4000, rng)
    assert many.mean(axis=0) == pytest.approx(level.mean, abs=0.03)
    assert np.cov(many.T) == pytest.approx(level.covariance, abs=0.01)
    calm = sizes_of(at, observed * 0, np.full(60, 0.01), (0.0005, 0.05), (0.001, 0.1))
    assert (calm.slow, calm.quick) == (0.0005, 0.001)


def test_the_method_that_was_right_weighs_most() -> None:
    past = [{"cbpe": 0.04, "features": 0.01}, {"cbpe": -0.05, "features": -0.01}] * 5
    found = weights(past, ["cbpe", "features"], 0.03)
    assert sum(found.values()) == pytest.approx(1)
    assert found["features"] > 0.8
    first = weights([], ["cbpe", "arrived"], 0.03)
    assert first["arrived"] > first["cbpe"]


def test_intervals_follow_past_errors() -> None:
    assert reach([], 0.9) > reach([0.5, -0.5] * 20, 0.9)
    assert reach([1.0, -1.0] * 50, 0.9) == pytest.approx(1.68, abs=0.08)
    assert reach([3.0, -3.0] * 50, 0.9) > 4


def test_the_sample_is_the_same_whoever_draws_it() -> None:
    table = pa.table({"id": [f"p{i}" for i in range(1000)], "x": np.arange(1000)})
    mixed = table.take(np.random.default_rng(9).permutation(1000))
    one, other = sampled(table, 100), sampled(mixed, 100)
    assert len(one) == 100
    assert set(one["id"].to_pylist()) == set(other["id"].to_pylist())
    assert sampled(table, 1000) is table


def test_probabilities_do_not_overflow() -> None:
    assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


def test_a_stray_label_does_not_turn_probabilities_into_numbers() -> None:
    some = rows(600, seed=3)
    truth = some.truth.copy()
    truth[5] = 7.0
    now = int(max(some.event_ms.max(), some.known_ms.max())) + 1
    assert type(learned(replace(some, truth=truth), now, 3_600_000, "day")) is type(
        learned(some, now, 3_600_000, "day")
    )
    wanted = Asked(("auc", "log_loss"), 0.5, {}, "")
    found = realized(replace(some, truth=truth), wanted)
    assert found == realized(some.where(np.arange(len(some)) != 5), wanted)
    assert set(found) == {"auc", "log_loss"}

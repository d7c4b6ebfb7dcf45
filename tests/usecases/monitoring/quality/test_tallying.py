"""Tallies add up in any order, and their metrics are those of the rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.errors import Invalid
from loopline.kit.scores import influences, standard_error
from loopline.kit.student import t_quantile
from loopline.usecases.monitoring.model.arrays import DAY_MS, NO_TIME
from loopline.usecases.monitoring.model.config import MonitorConfig, QualityLimit
from loopline.usecases.monitoring.model.quality import keys
from loopline.usecases.monitoring.model.quality.calibrating import calibrated
from loopline.usecases.monitoring.model.quality.confusing import table_of, written
from loopline.usecases.monitoring.model.quality.fairness import fairness
from loopline.usecases.monitoring.model.quality.looks import measured_any
from loopline.usecases.monitoring.model.quality.measuring import measured
from loopline.usecases.monitoring.model.quality.merging import merged, total
from loopline.usecases.monitoring.model.quality.tallying import Rows, tallied, texts
from loopline.usecases.monitoring.model.tallies import EMPTY, MOST_CLASSES, Tally, basis, decode, encode, of_one_kind

pytestmark = pytest.mark.unit

COSTS = MonitorConfig(costs={"false_positive": 1, "false_negative": 5, "true_positive": -2})
EXACT = ("rows", "labelled", "failed", "numbered", "latency", "delays", "last_event_ms", "last_known_ms", "classes")


def drawn(seed: int, count: int, kind: str, days: int = 8) -> Rows:
    """Rows of a model that is somewhat right; a tenth have no truth yet, some have no prediction."""
    rng = np.random.default_rng(seed)
    event = np.sort(rng.integers(0, days * DAY_MS, count))
    late = rng.random(count) < 0.1
    known = np.where(late, NO_TIME, event + rng.integers(0, 3 * DAY_MS, count))
    odds = rng.normal(-2, 1.3, count) + 0.5 * np.sin(event / DAY_MS)
    predicted, truth = 1 / (1 + np.exp(-odds)), (rng.random(count) < 1 / (1 + np.exp(-odds - 0.3))).astype(float)
    if kind == "beyond":
        predicted = odds
    if kind == "numbers":
        predicted, truth = odds + rng.normal(0, 0.4, count) + 1e6, odds + 1e6
    if kind == "stars":
        predicted, truth = odds, np.maximum(np.round(odds + rng.normal(0, 1, count)), 0)
    failed = rng.random(count) < 0.02
    naive = np.where(rng.random(count) < 0.2, np.nan, odds + rng.normal(0, 2, count))
    words = np.array(["ship", "train", "lorry", "post"])
    picked, said = rng.integers(0, 4, count), rng.random(count) < 0.7
    answers = texts([None if gone else str(words[at]) for at, gone in zip(picked, failed, strict=True)])
    labels = texts(
        [
            None if gone else str(words[at if right else at // 2])
            for at, right, gone in zip(picked, said, late, strict=True)
        ]
    )
    return Rows(
        predicted=np.where(failed | (kind == "texts"), np.nan, predicted),
        truth=np.where(late | (kind == "texts"), np.nan, truth),
        failed=failed,
        latency_us=rng.lognormal(6, 1, count),
        event_ms=event,
        known_ms=known,
        predicted_text=answers if kind == "texts" else None,
        labels=labels if kind == "texts" else None,
        groups=event // (DAY_MS // 24) if kind == "stars" else None,
        naive=naive if kind == "binary" else None,
    )


def by_day(rows: Rows, config: MonitorConfig = COSTS) -> dict[int, Tally]:
    days = rows.event_ms // DAY_MS
    return {int(day) * DAY_MS: tallied(rows.take(days == day), config) for day in np.unique(days)}


def same(one: Tally, other: Tally) -> None:
    for name in EXACT:
        assert getattr(one, name) == getattr(other, name), name
    if one.binary is not None and other.binary is not None:
        assert (one.binary.negatives, one.binary.positives) == (other.binary.negatives, other.binary.positives)
    assert one.naive == other.naive
    assert (one.binary is None, one.numbers is None) == (other.binary is None, other.numbers is None)
    if one.numbers is not None and other.numbers is not None:
        for name in one.numbers.__struct_fields__:
            assert getattr(one.numbers, name) == pytest.approx(getattr(other.numbers, name), rel=1e-7, abs=1e-5), name
    assert one.ranking == other.ranking or one.ranking.sums == pytest.approx(other.ranking.sums)  # type: ignore[union-attr]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 120), st.sampled_from(("binary", "beyond", "numbers", "stars", "texts")),
    st.integers(0, 120), st.integers(0, 120),
)  # fmt: skip
def test_parts_add_up_to_the_whole_in_any_order(seed: int, count: int, kind: str, cut: int, other: int) -> None:
    rows = drawn(seed, count, kind)
    if rows.groups is not None:  # a group lies within one part
        rows = Rows(**{**rows.__dict__, "groups": np.arange(count)})
    first, second = sorted((min(cut, count), min(other, count)))
    parts = [tallied(rows.take(slice(*ends)), COSTS) for ends in ((0, first), (first, second), (second, count))]
    whole = tallied(rows, COSTS)
    for order in itertools.permutations(parts):
        same(total(order), whole)
        same(merged(order[0], merged(order[1], order[2])), whole)
    assert merged(whole, EMPTY) == whole == merged(EMPTY, whole)
    assert decode(encode(whole)) == whole


def test_many_scores_are_counted_by_wider_keys_in_any_order() -> None:
    rows = drawn(1, keys.MOST_KEYS * 3, "binary")
    cuts = [0, 900, 1500, keys.MOST_KEYS * 2, keys.MOST_KEYS * 3]
    parts = [tallied(rows.take(slice(*ends)), COSTS) for ends in itertools.pairwise(cuts)]
    whole = tallied(rows, COSTS)
    assert [part.binary.shift > 0 for part in parts if part.binary] == [False, False, True, False]
    for order in list(itertools.permutations(parts))[::5]:
        same(total(order), whole)
    split, at_once = measured(dict(enumerate(parts)), COSTS), measured({0: whole}, COSTS)
    assert split["auc"] == pytest.approx(at_once["auc"], abs=1e-6)


def test_few_scores_of_many_rows_are_counted_exactly() -> None:
    rng = np.random.default_rng(0)
    scores = rng.choice(np.linspace(0.02, 0.9, 40), 20_000)
    truth = (rng.random(20_000) < scores).astype(float)
    tally = tallied(_labelled(scores, truth), COSTS)
    assert tally.binary is not None
    assert tally.binary.shift == 0
    found = measured({0: tally}, COSTS)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-12)
    assert found["pr_auc"] == pytest.approx(oracle.average_precision_score(truth, scores), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_areas_of_a_rare_event_are_right_to_1e_4(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(-6, 1.0, 30_000)
    truth = (rng.random(30_000) < 1 / (1 + np.exp(-odds))).astype(float)
    scores = 1 / (1 + np.exp(-odds))
    found = measured({0: tallied(_labelled(scores, truth), COSTS)}, COSTS)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-4)
    assert found["pr_auc"] == pytest.approx(oracle.average_precision_score(truth, scores), abs=1e-4)


def test_labels_beyond_0_and_1_make_all_of_it_numbers() -> None:
    binary, stars = tallied(drawn(1, 100, "binary"), COSTS), tallied(drawn(2, 300, "stars"), COSTS)
    assert binary.binary is not None
    assert of_one_kind([stars])[0].binary is None
    assert of_one_kind([merged(binary, stars)])[0].binary is None
    assert of_one_kind([binary]) == [binary]
    found = measured({0: binary, DAY_MS: stars}, COSTS)
    assert "mae" in found
    assert "auc" not in found


def test_a_few_strays_among_labels_of_0_and_1_end_no_metric() -> None:
    rng = np.random.default_rng(5)
    scores = rng.random(600)
    truth = (rng.random(600) < scores).astype(float)
    good = measured({0: tallied(_labelled(scores, truth), COSTS)}, COSTS)
    strays = tallied(_labelled(np.r_[scores, 0.2, 0.9], np.r_[truth, 7.0, -1.0]), COSTS)
    found = measured({0: strays}, COSTS)
    for name in ("auc", "log_loss", "brier", "accuracy", "cost"):
        assert found[name] == pytest.approx(good[name], abs=1e-12), name
    assert "mae" not in found
    assert strays.labelled == 602
    many = tallied(_labelled(np.r_[scores, np.full(20, 0.5)], np.r_[truth, np.full(20, 3.0)]), COSTS)
    assert "auc" not in measured({0: many}, COSTS)


def test_who_asks_for_an_error_of_numbers_has_it_when_they_are_0_and_1_too() -> None:
    rows = _labelled(np.array([0.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0]))
    config = MonitorConfig(metric="mae")
    assert measured({0: tallied(rows, config)}, config)["mae"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("kind", ["binary", "beyond"])
@pytest.mark.parametrize("seed", range(3))
def test_binary_metrics_are_those_of_the_rows(kind: str, seed: int) -> None:
    rows = drawn(seed, 4000, kind)
    found, known = measured(by_day(rows), COSTS), np.isfinite(rows.truth) & np.isfinite(rows.predicted)
    truth, scores = rows.truth[known], rows.predicted[known]
    called, inside = scores > 0.5, np.clip(scores, 1e-7, 1 - 1e-7)
    true = oracle.confusion_matrix(truth, called).ravel()
    expected = {
        "auc": oracle.roc_auc_score(truth, scores),
        "pr_auc": oracle.average_precision_score(truth, scores),
        "log_loss": oracle.log_loss(truth, inside),
        "brier": float(np.mean((scores - truth) ** 2)),
        "accuracy": oracle.accuracy_score(truth, called),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, called),
        "precision": oracle.precision_score(truth, called),
        "recall": oracle.recall_score(truth, called),
        "specificity": oracle.recall_score(truth, called, pos_label=0),
        "f1": oracle.f1_score(truth, called),
        "mcc": oracle.matthews_corrcoef(truth, called),
        "cost": float((true @ np.array([0, 1, 5, -2])) / len(truth)),
        "label_mean": float(truth.mean()),
        "predicted_mean": float(rows.predicted[np.isfinite(rows.predicted)].mean()),
        "predicted_mean_labelled": float(scores.mean()),
        "error_share": float(rows.failed.mean()),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-4), name
    assert found["latency_p99_ms"] == pytest.approx(float(np.quantile(rows.latency_us, 0.99)) / 1000, rel=0.03)
    for name in ("auc", "pr_auc", "log_loss", "brier", "f1", "mcc", "cost", "ece"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"], name


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(-9, 4), st.floats(0.1, 4), st.integers(30, 600))
def test_areas_are_right_however_rare_the_event(seed: int, middle: float, width: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(middle, width, count)
    truth = (rng.random(count) < 0.1 + 0.5 * (odds > middle)).astype(float)
    if not 0 < truth.sum() < count:
        return
    rows = _labelled(1 / (1 + np.exp(-odds)), truth)
    found = measured({0: tallied(rows, COSTS)}, COSTS)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(truth, rows.predicted), abs=1e-4)
    assert found["pr_auc"] == pytest.approx(oracle.average_precision_score(truth, rows.predicted), abs=1e-4)


def of_rows(metric: str, rows: Rows) -> tuple[float, np.ndarray, np.ndarray]:
    """The metric, each row's influence, and what is alike: the row's day, or the row where days are few."""
    known = np.isfinite(rows.truth) & np.isfinite(rows.predicted)
    truth, days = rows.truth[known], rows.event_ms[known] // DAY_MS
    blocks = days if len(np.unique(days)) >= 5 else np.arange(len(days))
    if metric != "lead":
        return *influences(metric, truth, rows.predicted[known]), blocks
    assert rows.naive is not None
    naive = rows.naive[known]
    filled = np.where(np.isfinite(naive), naive, np.median(naive[np.isfinite(naive)]))
    (ours, mine), (theirs, other) = (influences("auc", truth, scores) for scores in (rows.predicted[known], filled))
    return ours - theirs, mine - other, blocks


def expected_interval(metric: str, rows: Rows) -> tuple[float, float, float]:
    value, influence, blocks = of_rows(metric, rows)
    error, degrees = standard_error(influence, blocks)
    reach = t_quantile(0.975, degrees) * error
    return value, value - reach, value + reach


@pytest.mark.parametrize("days", [8, 2])
@pytest.mark.parametrize("kind", ["binary", "numbers"])
def test_intervals_are_those_of_rows_and_of_days(days: int, kind: str) -> None:
    rows = drawn(5, 3000, kind, days)
    found = measured(by_day(rows), COSTS)
    for metric in ("auc", "log_loss", "brier", "accuracy") if kind == "binary" else ("mae", "mse"):
        told = (found[metric], found[f"{metric}_low"], found[f"{metric}_high"])
        assert told == pytest.approx(expected_interval(metric, rows), abs=1e-4), metric


def test_the_lead_over_a_naive_forecast_is_paired_by_day() -> None:
    rows = drawn(7, 4000, "binary")
    config = MonitorConfig(quality=(QualityLimit(metric="lead", over="before"),))
    found = measured(by_day(rows, config), config)
    told = (found["lead"], found["lead_low"], found["lead_high"])
    assert told == pytest.approx(expected_interval("lead", rows), abs=3e-4)
    short = measured(by_day(drawn(7, 4000, "binary", 2), config), config)
    assert short["lead_low"] < short["lead"] < short["lead_high"]


def test_regression_metrics_are_those_of_the_rows() -> None:
    rows = drawn(3, 4000, "numbers")
    found, known = measured(by_day(rows), COSTS), np.isfinite(rows.truth) & np.isfinite(rows.predicted)
    truth, scores = rows.truth[known], rows.predicted[known]
    expected = {
        "mae": oracle.mean_absolute_error(truth, scores),
        "mse": oracle.mean_squared_error(truth, scores),
        "rmse": oracle.root_mean_squared_error(truth, scores),
        "mape": oracle.mean_absolute_percentage_error(truth, scores),
        "r2": oracle.r2_score(truth, scores),
        "bias": float((scores - truth).mean()),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-7), name
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"], name


def test_metrics_of_classes_are_those_of_the_rows() -> None:
    rows = drawn(3, 4000, "texts")
    assert rows.labels is not None
    assert rows.predicted_text is not None
    found = measured(by_day(rows), COSTS)
    known = (rows.labels != np.array(None)) & (rows.predicted_text != np.array(None))
    truth, called = rows.labels[known].astype(str), rows.predicted_text[known].astype(str)
    expected = {
        "accuracy": oracle.accuracy_score(truth, called),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, called),
        "macro_precision": oracle.precision_score(truth, called, average="macro", zero_division=0),
        "macro_recall": oracle.recall_score(truth, called, average="macro", zero_division=0),
        "macro_f1": oracle.f1_score(truth, called, average="macro", zero_division=0),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"], name


def test_whole_numbers_are_classes_where_a_metric_of_classes_is_asked_for() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 900).astype(float)
    called = np.where(rng.random(900) < 0.7, truth, rng.integers(0, 4, 900)).astype(float)
    config = MonitorConfig(metric="macro_f1")
    assert basis(config) != basis(MonitorConfig(metric="accuracy"))
    found = measured({0: tallied(_labelled(called, truth), config)}, config)
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(truth, called, average="macro"))
    assert "macro_f1" not in measured({0: tallied(_labelled(called, truth), COSTS)}, COSTS)
    scores, yes = rng.random(900), (rng.random(900) < 0.5).astype(float)
    found = measured({0: tallied(_labelled(scores, yes), config)}, config)
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(yes, scores > 0.5, average="macro"))
    assert found["macro_recall"] == pytest.approx(oracle.recall_score(yes, scores > 0.5, average="macro"))


def test_many_classes_are_folded_to_the_same_ones_in_any_order() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3 * MOST_CLASSES, 6000)
    called = np.where(rng.random(6000) < 0.6, truth, rng.integers(0, 3 * MOST_CLASSES, 6000))
    rows = _labelled(np.full(6000, np.nan), truth.astype(float))
    rows = Rows(**{**rows.__dict__, "predicted_text": texts([str(each) for each in called])})
    parts = [tallied(rows.take(slice(start, start + 2000)), COSTS) for start in (0, 2000, 4000)]
    whole = tallied(rows, COSTS)
    assert all(total(order) == whole for order in itertools.permutations(parts))
    assert whole.classes is not None
    assert len(whole.classes.table) == MOST_CLASSES
    found = measured({0: whole}, COSTS)
    assert found["accuracy"] == pytest.approx(float((truth == called).mean()))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(truth, called, average="macro"), abs=0.05)


def test_rankings_of_whole_groups_are_scored() -> None:
    rng = np.random.default_rng(4)
    groups, predicted = np.repeat(np.arange(50), 12), rng.normal(size=600)
    truth = np.maximum(np.round(predicted + rng.normal(0, 1, 600)), 0)
    truth[:3] = np.nan
    rows = Rows(**{**_labelled(predicted, truth).__dict__, "groups": groups})
    tally = tallied(rows, MonitorConfig(group="basket", top=5))
    assert tally.ranking is not None
    assert (tally.ranking.groups, tally.ranking.complete) == (50, 49)
    shape = (49, 12)
    gain, scores = truth[12:].reshape(shape), predicted[12:].reshape(shape)
    found = measured({0: tally}, MonitorConfig())
    assert found["ndcg"] == pytest.approx(oracle.ndcg_score(gain, scores, k=5))
    best = np.argsort(-scores, axis=1)[:, :5]
    relevant = np.take_along_axis(gain, best, axis=1) > 0
    assert found["hit_rate"] == pytest.approx(relevant.any(axis=1).mean())
    assert found["mrr"] == pytest.approx(np.where(relevant.any(axis=1), 1 / (relevant.argmax(axis=1) + 1), 0).mean())
    precision = np.cumsum(relevant, axis=1) / np.arange(1, 6)
    many = np.maximum(np.minimum((gain > 0).sum(axis=1), 5), 1)
    assert found["map"] == pytest.approx(((precision * relevant).sum(axis=1) / many).mean())
    assert found["ndcg_low"] < found["ndcg"] < found["ndcg_high"]
    alone = Rows(**{**rows.__dict__, "groups": np.full(600, -1)})
    assert "ndcg" not in measured({0: tallied(alone, MonitorConfig())}, MonitorConfig())


def test_equal_scores_rank_nobody_first() -> None:
    rows = Rows(**{**_labelled(np.zeros(4), np.array([1.0, 0, 0, 0])).__dict__, "groups": np.zeros(4, dtype=np.int64)})
    assert measured({0: tallied(rows, MonitorConfig(top=3))}, MonitorConfig())["hit_rate"] == 0


def test_a_model_that_was_always_right_is_not_sure_to_be() -> None:
    truth = np.array([1.0, 0.0] * 30)
    found = measured({0: tallied(_labelled(0.1 + 0.8 * truth, truth), COSTS)}, COSTS)
    assert found["accuracy"] == found["auc"] == found["recall"] == 1.0
    assert 0.9 < found["accuracy_low"] < 0.96 < found["accuracy_high"] == 1.0
    assert 0.8 < found["recall_low"] < found["accuracy_low"]
    assert "auc_low" not in found


def test_few_positives_tell_little() -> None:
    truth = np.zeros(1000)
    truth[:4] = 1
    scores = np.where(np.arange(1000) % 3 == 0, 0.9, 0.2)
    found = measured({0: tallied(_labelled(scores, truth), COSTS)}, COSTS)
    assert found["recall"] == 0.5
    assert found["recall_high"] - found["recall_low"] > 0.8


def test_nothing_to_measure_is_no_error() -> None:
    assert measured({}, COSTS) == {}
    rows = drawn(1, 50, "binary")
    unknown = Rows(**{**rows.__dict__, "truth": np.full(50, np.nan), "known_ms": np.full(50, NO_TIME)})
    found = measured({0: tallied(unknown, COSTS)}, COSTS)
    assert set(found) == {"error_share", "predicted_mean", "latency_p50_ms", "latency_p99_ms"}
    single = measured({0: tallied(_labelled(np.array([0.3]), np.array([1.0])), COSTS)}, COSTS)
    assert single["brier"] == pytest.approx(0.49)
    assert "auc" not in single
    assert "brier_low" not in single
    assert tallied(rows.take(slice(0, 0)), COSTS).rows == 0


EXTREMES = st.sampled_from(
    [0.0, 1.0, -1.0, 0.5, 1e300, -1e300, 5e-324, 1e-9, 3.0, float("nan"), float("inf"), -float("inf")]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(EXTREMES, EXTREMES, EXTREMES), max_size=14), st.integers(1, 7),
    st.sampled_from(("auc", "macro_f1", "rmse")),
)  # fmt: skip
def test_no_numbers_are_too_odd(told: list[tuple[float, float, float]], days: int, metric: str) -> None:
    predicted, truth, naive = (np.array(column) for column in zip(*told, strict=True)) if told else [np.zeros(0)] * 3
    times = np.arange(len(told)) % days * DAY_MS
    config = MonitorConfig(metric=metric, costs={"false_positive": 1e300})  # type: ignore[arg-type]
    rows = Rows(predicted, truth, ~np.isfinite(predicted), naive, times, times, groups=times, naive=naive)
    tallies = {day * DAY_MS: tallied(rows.take(times == day * DAY_MS), config) for day in range(days)}
    both = {0: total(tallies.values())}
    for known in (tallies, both):
        found = measured(known, config) | measured_any(known, config)
        assert all(np.isfinite(value) for value in found.values())
        for name, value in found.items():
            if f"{name}_low" in found:
                assert found[f"{name}_low"] <= value + 1e-9 * abs(value), name
                assert value <= found[f"{name}_high"] + 1e-9 * abs(value), name
        calibrated(known, 10)
        fairness("x", {"a": known, "b": both}, least=1)


def test_a_tally_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(Invalid):
        decode(b"nothing")
    one, other = (MonitorConfig(group="basket", top=top) for top in (5, 9))
    rows = Rows(**{**_labelled(np.arange(4.0), np.ones(4)).__dict__, "groups": np.zeros(4, dtype=np.int64)})
    with pytest.raises(Invalid):
        merged(tallied(rows, one), tallied(rows, other))


def test_the_basis_names_what_a_tally_depends_on() -> None:
    assert basis(MonitorConfig()) == basis(MonitorConfig(metric="f1", window="day"))
    assert basis(MonitorConfig()) != basis(MonitorConfig(threshold=0.2))


def test_keys_keep_the_order_and_the_value() -> None:
    scores = np.concatenate((np.linspace(0, 1, 501), [1e-9, 1e-4, 0.9999, -3.0, 7.5, 1.0001, -1e-3]))
    order = np.argsort(scores)
    assert (np.diff(keys.score_keys(scores[order])) >= 0).all()
    assert keys.score_values(keys.score_keys(scores)) == pytest.approx(scores, rel=3e-4, abs=3e-4)
    numbers = np.array([0.0, -1e9, 1e9, 3.25, -0.001, 17.0])
    assert keys.number_values(keys.number_keys(numbers)) == pytest.approx(numbers, rel=3e-4)
    counted = keys.unpacked(keys.counted(np.array([5, -2, 5, 900_000_000])))
    assert [part.tolist() for part in counted] == [[-2, 5, 900_000_000], [1, 2, 1]]
    assert written(np.array([1.0, np.nan, 2.5])).tolist() == ["1", None, "2.5"]
    assert table_of(texts(["a", "a"]), texts(["a", "b"])).table == {"a": {"a": 1, "b": 1}}


def _labelled(predicted: np.ndarray, truth: np.ndarray) -> Rows:
    count = len(truth)
    times = np.arange(count, dtype=np.int64)
    return Rows(predicted, truth, ~np.isfinite(predicted), np.full(count, np.nan), times, times + 1000)

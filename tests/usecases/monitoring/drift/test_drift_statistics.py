"""Statistics of drift: bounds, symmetries, agreement with scipy's, and laws that hold what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from loopline.core.tables import Column, Signature
from loopline.kit.detectors import Detector, log_calibrated, mixed
from loopline.usecases.monitoring.model import sketching
from loopline.usecases.monitoring.model.drifts.chance import chance
from loopline.usecases.monitoring.model.drifts.judging import Part, Rules, judged
from loopline.usecases.monitoring.model.drifts.laws import effective_number, of_several
from loopline.usecases.monitoring.model.drifts.references import Reference, usual_of
from loopline.usecases.monitoring.model.drifts.statistics import Ranks, categorical_distances, common, distances
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.model.reporting import trained

pytestmark = pytest.mark.unit
NUMBER = Signature(inputs=(Column("x", "float", True),), output=Column("y", "float"))
TEXT = Signature(inputs=(Column("c", "string", True),), output=Column("y", "float"))
DAY = 86_400_000
counts = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=30)


def pair(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, dtype=float).T
    return table[:1], table[1:]


@settings(max_examples=80, deadline=None)
@given(counts)
def test_statistics_of_numbers_stay_in_their_bounds(rows: Any) -> None:
    then, now = pair(rows)
    found = Ranks(then[0], np.arange(len(rows), dtype=float)).distances(then, now)
    assert abs(found["rank_mean"][0]) <= 0.5 + 1e-9
    assert 0 <= found["ks"][0] <= 1 + 1e-9
    assert 0 <= found["wasserstein"][0] <= len(rows)
    assert found["chi_square"][0] >= 0
    assert abs(found["outside"][0]) <= 1 + 1e-9


@settings(max_examples=80, deadline=None)
@given(counts)
def test_ranks_do_not_care_for_units_nor_for_monotone_transforms(rows: Any) -> None:
    then, now = pair(rows)
    values = np.arange(len(rows), dtype=float)
    one = Ranks(then[0], values).distances(then, now)
    other = Ranks(then[0], np.exp(values / 7) * 60).distances(then, now)
    turned = Ranks(then[0][::-1], values).distances(then[:, ::-1], now[:, ::-1])
    for name in ("rank_mean", "rank_spread", "ks", "chi_square", "outside"):
        assert one[name] == pytest.approx(other[name])
    assert turned["rank_mean"] == pytest.approx(-one["rank_mean"], abs=1e-9)
    assert turned["rank_spread"] == pytest.approx(one["rank_spread"], abs=1e-6)
    assert turned["ks"] == pytest.approx(one["ks"])


@settings(max_examples=80, deadline=None)
@given(counts)
def test_nothing_differs_from_itself_and_order_does_not_matter_to_texts(rows: Any) -> None:
    then, now = pair(rows)
    same = Ranks(then[0], np.arange(len(rows), dtype=float)).distances(then, then)
    assert all(value[0] == pytest.approx(0, abs=1e-9) for value in same.values())
    order = np.random.default_rng(0).permutation(len(rows))
    one = categorical_distances(then, now, common(then[0]))
    other = categorical_distances(then[:, order], now[:, order], common(then[0][order]))
    for name, value in one.items():
        assert value == pytest.approx(other[name])
    assert 0 <= one["total_variation"][0] <= 1 + 1e-9


def numbers(values: Any, like: Profile | None = None) -> Profile:
    return sketching.profile(pa.table({"x": pa.array(values, from_pandas=True)}), NUMBER, like)


def test_the_variances_of_chance_are_those_of_many_draws() -> None:
    rng = np.random.default_rng(3)
    population = np.round(rng.gamma(2, 20, 20_000))
    then = numbers(population)
    law = chance(then.columns[0])
    draws = [distances(then.columns[0], numbers(rng.choice(population, 400), then).columns[0]) for _ in range(300)]
    for name in ("rank_mean", "rank_spread", "ks", "wasserstein", "chi_square"):
        square = np.mean([draw[name] ** 2 for draw in draws]) * 400
        assert square == pytest.approx(law[name].square, rel=0.25), name


def periods(rng: np.random.Generator, days: int, rows: int, apart: float) -> Profile:
    x = rng.normal(size=(days, rows)) + apart * rng.normal(size=(days, 1))
    times = pa.array(np.repeat(np.arange(days) * DAY, rows), pa.timestamp("ms", tz="UTC"))
    return sketching.profile(pa.table({"x": x.ravel(), "event_time": times}), NUMBER, event_time="event_time")


@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_p_values_hold_what_they_promise(apart: float) -> None:
    """Days as the reference's: at 1 % hardly any, at 10 % no more than 10 %."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(8):
        reference = trained(periods(rng, 30, 200, apart))
        for _ in range(25):
            now = numbers(rng.normal(size=200) + apart * rng.normal(), reference.profile)
            found.append(judged([Part(reference, now)], Rules(window="day")).p_value or 0.0)
    assert np.mean(np.array(found) <= 0.01) <= 0.03
    assert np.mean(np.array(found) <= 0.1) <= 0.16


def test_small_changes_are_seen_where_days_are_alike_and_not_where_they_differ() -> None:
    rng = np.random.default_rng(12)
    alike, differing = (trained(periods(rng, 30, 1000, apart)) for apart in (0.0, 0.5))
    hits = {
        name: np.mean(
            [
                (judged([Part(reference, numbers(rng.normal(0.15, 1, 1000), reference.profile))], Rules(window="day")).p_value or 0)
                <= 0.01
                for _ in range(30)
            ]
        )
        for name, reference in (("alike", alike), ("differing", differing))
    }  # fmt: skip
    assert hits["alike"] >= 0.85
    assert hits["differing"] == 0


def test_an_outlying_period_of_the_reference_bounds_the_p_value() -> None:
    """A Saturday is no news where the reference has some."""
    rng = np.random.default_rng(13)
    x = rng.normal(size=(28, 300))
    x[6::7] += 1.5
    times = pa.array(np.repeat(np.arange(28) * DAY, 300), pa.timestamp("ms", tz="UTC"))
    made = sketching.profile(pa.table({"x": x.ravel(), "event_time": times}), NUMBER, event_time="event_time")
    saturday = judged([Part(trained(made), numbers(rng.normal(1.5, 1, 300), made))], Rules(window="day"))
    assert saturday.p_value is not None
    assert saturday.p_value > 0.03
    assert judged([Part(trained(made), numbers(rng.normal(8, 1, 300), made))], Rules(window="day")).alarm


def test_few_periods_say_little() -> None:
    rng = np.random.default_rng(14)
    parts = [numbers(rng.normal(0.3 * n, 1, 500), None) for n in range(1)]
    parts += [numbers(rng.normal(0.3 * n, 1, 500), parts[0]) for n in range(1, 3)]
    whole = sketching.merged_all(parts)
    assert whole is not None
    reference = Reference("three months", whole, {"month": usual_of(["a", "b", "c"], parts, whole)})
    now = numbers(rng.normal(1.2, 1, 500), parts[0])
    assert not judged([Part(reference, now)], Rules(window="month")).alarm


def test_new_values_and_empty_windows() -> None:
    rng = np.random.default_rng(15)
    texts = rng.choice(["a", "b", "c"], 9000)
    times = pa.array(np.repeat(np.arange(30) * DAY, 300), pa.timestamp("ms", tz="UTC"))
    made = sketching.profile(pa.table({"c": texts, "event_time": times}), TEXT, event_time="event_time")
    spoiled = np.where(rng.random(300) < 0.03, "z", rng.choice(["a", "b", "c"], 300))
    found = judged([Part(trained(made), sketching.profile(pa.table({"c": spoiled}), TEXT, made))], Rules(window="day"))
    assert found.alarm
    assert (found.columns[0].strongest, found.columns[0].direction, found.columns[0].unit) == (
        "new",
        "new values",
        "share",
    )
    nothing = sketching.profile(pa.table({"c": pa.nulls(50, pa.string())}), TEXT, made)
    gone = judged([Part(trained(made), nothing)], Rules(window="day")).columns[0]
    assert (gone.direction, gone.missing_now) == ("more missing", 1.0)


def test_the_number_of_tests_is_learned_from_related_ones() -> None:
    rng = np.random.default_rng(16)
    independent = rng.random((6, 400)).min(axis=0)
    assert 4.5 < effective_number(independent, 6) <= 6
    assert effective_number(rng.random(400), 6) < 1.5
    assert effective_number([0.5, 0.6], 40) > 30
    assert float(of_several(0.01, 5)) == pytest.approx(1 - 0.99**5)


def run(z: Any, tolerance: float = 0.42, bound: float = np.log(100)) -> int | None:
    detector = Detector()
    for place, value in enumerate(z, 1):
        detector.see(float(value), tolerance)
        if detector.log >= bound:
            return place
    return None


def test_evidence_of_many_looks_is_seldom_false_and_soon_enough() -> None:
    rng = np.random.default_rng(17)
    false = [run(rng.normal(size=100)) is not None for _ in range(300)]
    assert np.mean(false) <= 0.03
    heavy = [run(stats.t(5).rvs(100, random_state=rng) / np.sqrt(5 / 3)) is not None for _ in range(200)]
    assert np.mean(heavy) <= 0.1
    edge = [run(rng.normal(0.42, 1, 100)) is not None for _ in range(200)]
    assert np.mean(edge) <= 0.5  # at the tolerance itself once in 100 steps or more seldom
    assert np.mean([run(rng.normal(1.5, 1, 60)) or 60 for _ in range(100)]) < 12
    assert np.mean([run(rng.normal(-1.5, 1, 60)) or 60 for _ in range(100)]) < 12


def test_an_e_detector_never_expects_more_than_its_steps() -> None:
    rng = np.random.default_rng(18)
    ends = []
    for _ in range(4000):
        detector = Detector()
        for value in rng.normal(size=5):
            detector.see(float(value))
        ends.append(np.exp(detector.log))
    assert np.mean(ends) <= 5.6


def test_mixtures_and_calibrated_p_values() -> None:
    assert mixed([np.log(4.0), np.log(2.0)], [0.5, 0.5]) == pytest.approx(np.log(3.0))
    assert mixed([-np.inf], [1.0]) == -np.inf
    assert np.exp(log_calibrated(0.0001)) == pytest.approx(50)
    capped = Detector(most=1.0)
    for _ in range(50):
        capped.see(5.0)
    assert capped.log <= 1.0

"""Profiles add up, and what is read from them is right to the width of a cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, wasserstein_distance

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import sketching
from loopline.usecases.monitoring.model.drift import distances, quantiles
from loopline.usecases.monitoring.model.profile import CategoricalColumn, NumericColumn, Profile, decode, encode
from loopline.usecases.monitoring.model.reporting import report

pytestmark = pytest.mark.unit
BOTH = Signature(inputs=(Column("x", "float", True), Column("c", "string", True)), output=Column("y", "float"))
NUMBER = Signature(inputs=(Column("x", "float", True),), output=Column("y", "float"))
TEXT = Signature(inputs=(Column("c", "string", True),), output=Column("y", "float"))

cell = st.one_of(st.floats(-1e6, 1e6), st.none(), st.just(float("inf")), st.just(float("nan")))
rows = st.lists(st.tuples(cell, st.sampled_from(["a", "b", "c", None])), max_size=40)


def table(pairs: Any) -> pa.Table:
    numbers, texts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return pa.table({"x": pa.array(numbers, pa.float64()), "c": pa.array(texts, pa.string())})


def numbers(values: Any, like: Profile | None = None) -> Profile:
    return sketching.profile(pa.table({"x": values}), NUMBER, like)


@settings(max_examples=60, deadline=None)
@given(rows, rows, rows)
def test_profiles_of_parts_add_up_to_the_profile_of_the_whole(one: Any, two: Any, three: Any) -> None:
    first = sketching.profile(table(one), BOTH)
    second, third = (sketching.profile(table(part), BOTH, first) for part in (two, three))
    left = sketching.merged(sketching.merged(first, second), third)
    right = sketching.merged(first, sketching.merged(third, second))
    whole = sketching.profile(table([*one, *two, *three]), BOTH, first)
    assert exact(left) == exact(right) == exact(whole)


def exact(profile: Profile) -> Any:
    """All but the order of addition in the column's total."""
    number, text = profile.columns
    assert isinstance(number, NumericColumn)
    fields = {name: getattr(number, name) for name in number.__struct_fields__ if name != "total"}
    return profile.rows, fields, text


def test_a_profile_survives_being_stored() -> None:
    made = sketching.profile(table([(1.0, "a"), (None, None), (float("inf"), "b")]), BOTH)
    assert decode(encode(made)) == made
    with pytest.raises(Invalid, match="cannot be read"):
        decode(b"{}")


def test_other_cells_or_columns_do_not_merge() -> None:
    with pytest.raises(Invalid, match="cells of 'x' differ"):
        sketching.merged(numbers([1.0, 2.0]), numbers([1e6, 2e9]))
    with pytest.raises(Invalid, match="different columns"):
        sketching.merged(numbers([1.0]), sketching.profile(table([(1.0, "a")]), BOTH))
    with pytest.raises(Invalid, match="no column 'x'"):
        sketching.profile(pa.table({"z": [1]}), NUMBER)
    with pytest.raises(Invalid, match="cannot be read as numbers"):
        sketching.profile(pa.table({"x": ["one"]}), NUMBER)


COLUMNS = {
    "air pressure": lambda rng, n: 1013 + rng.normal(0, 7, n),
    "epoch seconds": lambda rng, n: 1.36e9 + rng.random(n) * 86400 * 30,
    "ids": lambda rng, n: rng.integers(10**12, 10**12 + 10**7, n).astype(float),
    "log-normal amounts": lambda rng, n: np.exp(rng.normal(3, 1.5, n)),
    "counts": lambda rng, n: rng.poisson(3, n).astype(float),
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.9, 0.0, rng.gamma(2, 30, n)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_distances_agree_with_those_of_the_raw_rows(name: str) -> None:
    rng = np.random.default_rng(8)
    then = COLUMNS[name](rng, 40_000)
    now = np.quantile(then, 0.3) + (COLUMNS[name](rng, 20_000) - np.quantile(then, 0.3)) * 1.1
    first = numbers(then)
    found = distances(first.columns[0], numbers(now, first).columns[0])
    moved = wasserstein_distance(then, now)
    assert found["ks"] == pytest.approx(ks_2samp(then, now).statistic, abs=4e-3)
    assert found["wasserstein"] == pytest.approx(moved, rel=0.01)
    above = (now[:2000, None] > then[None, :2000]).mean() + (now[:2000, None] == then[None, :2000]).mean() / 2 - 0.5
    assert found["rank_mean"] == pytest.approx(above, abs=0.02)
    assert len(encode(first)) <= 16_384


@pytest.mark.parametrize("name", COLUMNS)
def test_quantiles_are_right_to_a_cell(name: str) -> None:
    values = COLUMNS[name](np.random.default_rng(9), 50_000)
    column = numbers(values).columns[0]
    assert isinstance(column, NumericColumn)
    levels = (0.01, 0.25, 0.5, 0.75, 0.99)
    expected = np.quantile(values, levels, method="inverted_cdf")
    assert quantiles(column, levels) == pytest.approx(expected, abs=np.abs(values - column.centre).max() / 128)
    assert (column.low, column.high) == (values.min(), values.max())


def test_a_constant_and_an_empty_column_have_profiles_too() -> None:
    constant, empty = numbers([5.0] * 10), numbers(pa.array([None] * 3, pa.float64()))
    assert quantiles(constant.columns[0], (0.5,)) == [5.0]  # type: ignore[arg-type]
    assert quantiles(empty.columns[0], (0.5,)) is None  # type: ignore[arg-type]
    assert report(constant, numbers([5.0, 5.0], constant), "week").columns[0].statistics["ks"] == 0
    assert report(constant, numbers(pa.nulls(4, pa.float64()), constant), "week").columns[0].missing_now == 1
    assert report(empty, numbers([1.0], empty), "week").columns[0].missing_then == 1


def test_very_many_values_are_folded_and_never_called_new() -> None:
    made = sketching.profile(pa.table({"c": [f"plane {i}" for i in range(3000)]}), TEXT)
    column = made.columns[0]
    assert isinstance(column, CategoricalColumn)
    assert 500 < len(column.values) <= 1000
    assert (column.others, column.folded) == (3000 - len(column.values),) * 2
    now = sketching.profile(pa.table({"c": [f"plane {i}" for i in range(2990, 3010)]}), TEXT, made)
    assert report(made, now, "week").columns[0].statistics["new"] <= 0


def seasons(days: int, seed: int, rows: int = 300, shift: float = 0.0, **spoil: Any) -> pa.Table:
    """Days that differ from each other as real ones do."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    x = rng.normal(size=len(day)) + (rng.normal(size=days) * 0.4)[day] + shift
    x = np.where(rng.random(len(day)) < spoil.get("missing", 0.0), np.nan, x * spoil.get("spread", 1.0))
    weights = rng.dirichlet([40, 30, 20], days)
    c = np.array(["a", "b", "c"])[(rng.random(len(day))[:, None] > np.cumsum(weights, axis=1)[day]).sum(axis=1)]
    c = np.where(rng.random(len(day)) < spoil.get("new", 0.0), "z", c)
    times = pa.array(day * 86_400_000 + 1_364_774_400_000, pa.timestamp("ms", tz="UTC"))
    return pa.table({"x": x, "c": c, "event_time": times})


def drifted(seed: int, rows: int = 300, **spoil: Any) -> Any:
    then = sketching.profile(seasons(60, 0), BOTH, event_time="event_time")
    return report(then, sketching.profile(seasons(1, seed, rows, **spoil), BOTH, then), "day")


@pytest.mark.parametrize("count", [300, 60])
def test_another_normal_day_is_seldom_unusual_whatever_its_traffic(count: int) -> None:
    found = [drifted(seed, count).p_value for seed in range(1, 41)]
    assert sum(value <= 0.05 for value in found) <= 6
    assert sum(value <= 0.01 for value in found) <= 2


@pytest.mark.parametrize(
    ("spoil", "column", "words"),
    [
        ({"shift": 2.5}, "x", "higher: mean"),
        ({"missing": 0.05}, "x", "missing 0 % → "),
        ({"spread": 3.0}, "x", "middle 80 % spans"),
        ({"new": 0.03}, "c", "new values z"),
    ],
)
def test_what_changed_is_said_in_plain_words(spoil: Any, column: str, words: str) -> None:
    found = drifted(7, **spoil)
    assert found.alarm
    assert found.p_value < 0.01
    assert found.columns[0].alarm
    assert found.columns[0].name == column
    assert words in found.columns[0].change
    assert found.columns[0].times_usual > 1.5


def test_without_periods_the_sizes_alone_rank_the_features() -> None:
    then = sketching.profile(seasons(60, 0), BOTH)
    found = report(then, sketching.profile(seasons(1, 7, shift=2.5), BOTH, then), "day")
    assert (found.p_value, found.columns[0].name, found.columns[0].times_usual) == (None, "x", None)


def test_shares_for_drawing_cover_both_sides() -> None:
    for column in drifted(3, shift=1.0).columns:
        assert sum(column.shares_then) == pytest.approx(1, abs=1e-4)
        assert sum(column.shares_now) == pytest.approx(1, abs=1e-4)
        assert len(column.bins) - len(column.shares_now) == (1 if column.type == "numeric" else 0)


def test_predictions_are_profiled_with_the_inputs() -> None:
    made = sketching.profile(pa.table({"x": [1.0], "prediction": [0.5]}), NUMBER)
    assert [column.name for column in made.columns] == ["x", "prediction"]


def test_the_live_window_is_compared_with_the_training_profile(watch: Any) -> None:
    watch.traffic(700, days=14, wind=np.full(700, 30.0))
    watch.monitoring.evaluate("late")
    with pytest.raises(NotFound, match="Version 1 of 'late' was registered without a training profile"):
        watch.monitoring.drift("late")
    training = watch.predicted(9000, days=60, seed=3).drop_columns(["outcome", "prediction"])
    watch.profiles[1] = watch.monitoring.profile(training, watch.signature, "event_time")
    found = watch.monitoring.drift("late")
    assert (found.start, found.window, found.version) == ("2013-04-08T00:00:00.000Z", "week", 1)
    assert (found.columns[0].name, found.periods) == ("wind", 9)
    assert watch.monitoring.drift("late", "2013-04-01").start == "2013-04-01T00:00:00.000Z"
    with pytest.raises(NotFound, match="no window 2014"):
        watch.monitoring.drift("late", "2014-01-01")


def test_training_rows_kept_as_a_table_serve_as_a_profile_too(watch: Any) -> None:
    watch.traffic(700, days=14, wind=np.full(700, 30.0))
    watch.monitoring.evaluate("late")
    rows = watch.predicted(9000, days=60, seed=3)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    watch.profiles[1] = sink.getvalue().to_pybytes()
    assert watch.monitoring.drift("late").columns[0].name == "wind"
    watch.profiles[2] = b"not a profile"
    watch.traffic(100, start=watch.april + 21 * watch.day, version=2)
    watch.traffic(100, start=watch.april + 28 * watch.day, version=2)
    watch.monitoring.evaluate("late")
    assert watch.windows()[-1].quality["missing"] == {"distance": 0.0, "wind": 0.0, "carrier": 0.0}
    with pytest.raises(NotFound, match="Version 2 of 'late' was registered without"):
        watch.monitoring.drift("late")

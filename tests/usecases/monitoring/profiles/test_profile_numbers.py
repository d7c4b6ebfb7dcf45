"""Numbers: profiles of parts add up exactly to the profile of the whole, stay small, and tell distances as raw rows do."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, wasserstein_distance

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.usecases.datasets import model as contract
from loopline.usecases.monitoring.model import cells, distinct, numbers, sketching
from loopline.usecases.monitoring.model.limits import Limits, limits_of
from loopline.usecases.monitoring.model.profile import COLUMN_BYTES, NumericColumn, Profile, decode, encode
from loopline.usecases.serving.options import Range

pytestmark = pytest.mark.unit
FLOAT = Signature(inputs=(Column("x", "float", True),), output=Column("y", "float"))
WHOLE = Signature(inputs=(Column("x", "integer", True),), output=Column("y", "float"))

anything = st.one_of(
    st.floats(-1e6, 1e6),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(10**12, 10**12 + 5000).map(float),
    st.floats(1.36e9, 1.37e9),
    st.floats(990, 1030),
    st.none(),
)
parts = st.lists(st.lists(anything, max_size=25), min_size=2, max_size=4)


def profiled(values: Any, like: Profile | None = None, signature: Signature = FLOAT) -> Profile:
    kind = pa.float64() if signature is FLOAT else pa.int64()
    return sketching.profile(pa.table({"x": pa.array(values, kind, from_pandas=False)}), signature, like)


def numeric(values: Any, like: Profile | None = None, signature: Signature = FLOAT) -> NumericColumn:
    column = profiled(values, like, signature).columns[0]
    assert isinstance(column, NumericColumn)
    return column


def all_orders(profiles: list[Profile]) -> list[Profile]:
    """The merge of some profiles in every order, from the left and from the right."""
    found = []
    for order in itertools.permutations(profiles):
        left, right = order[0], order[-1]
        for profile in order[1:]:
            left = sketching.merged(left, profile)
        for profile in order[-2::-1]:
            right = sketching.merged(profile, right)
        found += [left, right, sketching.merged_all(order)]  # type: ignore[list-item]
    return found


@settings(max_examples=60, deadline=None)
@given(parts)
def test_any_order_of_adding_parts_gives_the_profile_of_the_whole(values: list[list[float | None]]) -> None:
    first = profiled([value for part in values for value in part])
    whole = profiled([value for part in values for value in part], first)
    assert all(found == whole for found in all_orders([profiled(part, first) for part in values]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 300)), max_size=300), min_size=2, max_size=3))  # fmt: skip
def test_whole_numbers_add_up_with_their_distinct_counts(values: list[list[int]]) -> None:
    everything = [value for part in values for value in part]
    first = profiled(everything, None, WHOLE)
    found = all_orders([profiled(part, first, WHOLE) for part in values])
    assert all(one == profiled(everything, first, WHOLE) for one in found)
    column = first.columns[0]
    assert isinstance(column, NumericColumn)
    assert distinct.estimate(column.distinct) == pytest.approx(len(set(everything)), rel=0.15)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 3, 10, 90]), st.integers(0, 6))
def test_tables_that_became_coarser_add_up_exactly_too(seed: int, spread: int, scatter: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(0, spread, 40_000)) * rng.choice([-1, 1], 40_000) + scatter
    first = profiled(values)
    cuts = sorted(int(cut) for cut in rng.integers(1, len(values), 2))
    some = [profiled(part, first) for part in np.split(values, cuts)]
    whole = profiled(values, first)
    assert all(found == whole for found in all_orders(some))


@pytest.mark.parametrize("spread", [1, 10, 60, 200])
def test_a_column_stays_within_its_size_whatever_its_cells(spread: int) -> None:
    rng = np.random.default_rng(spread)
    values = np.clip(rng.normal(0, spread, 400_000), -690, 690)
    made = profiled(np.exp(values) * rng.choice([-1, 1], len(values)))
    assert len(encode(made)) <= COLUMN_BYTES
    assert decode(encode(made)) == made


@pytest.mark.parametrize("rows", [65_536, 10_000_000, 10**15])
@pytest.mark.parametrize("floor", [cells.NO_FLOOR, -9, 30])
def test_all_cells_in_use_still_fit_whatever_the_counts(rows: int, floor: int) -> None:
    rng = np.random.default_rng(rows % 97)
    shares = np.exp(rng.normal(0, 3, cells.CELLS))
    counts = np.maximum((shares / shares.sum() * rows).astype(np.int64), 1)
    content = cells.packed(counts, floor)
    assert len(content) <= cells.CELL_BYTES
    assert cells.unpacked(content)[1].sum() == counts.sum()
    assert cells.packed(counts * 2, floor) == cells.added([content, content], floor)


COLUMNS = {
    "air pressure": lambda rng, n: 1013 + rng.normal(0, 7, n),
    "epoch seconds": lambda rng, n: 1.36e9 + rng.random(n) * 86400 * 30,
    "ids": lambda rng, n: rng.integers(10**12, 10**12 + 10**7, n).astype(float),
    "log-normal amounts": lambda rng, n: np.exp(rng.normal(3, 1.5, n)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_ks_and_wasserstein_are_those_of_the_raw_rows(name: str) -> None:
    ks_errors = []
    for seed, shift in enumerate((-0.3, -0.02, 0.1, 0.25, 0.05)):
        rng, rows = np.random.default_rng(seed), 400_000
        then = COLUMNS[name](rng, rows)
        now = COLUMNS[name](rng, rows) + shift * then.std()
        ks, moved = from_cells(then, now)
        then.sort()
        now.sort()
        ks_errors.append(abs(ks - ks_of_sorted(then, now)))
        assert moved == pytest.approx(float(np.abs(then - now).mean()), abs=1e-4 * then.std())
    assert np.median(ks_errors) <= 1e-4
    assert max(ks_errors) <= 2.5e-4  # a cell holds a few thousandths of the rows


def from_cells(then: Any, now: Any) -> tuple[float, float]:
    """(KS, Wasserstein) from the profiles of raw values."""
    first = numeric(then)
    second = numeric(now, profiled(then))
    found, table = cells.side_by_side(first.cells, second.cells)
    gap = np.abs(np.diff(np.cumsum(table, axis=1) / table.sum(axis=1, keepdims=True), axis=0))[0]
    middles = cells.cell_values(found, first.centre, first.scale)
    return float(gap.max()), float((gap[:-1] * np.diff(middles)).sum())


def ks_of_sorted(then: Any, now: Any) -> float:
    """As scipy computes it, without sorting again."""
    both = np.concatenate([then, now])
    lower = np.searchsorted(then, both, side="right") - np.searchsorted(now, both, side="right")
    return float(np.abs(lower).max() / len(then))


def test_the_quick_forms_of_these_tests_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    then, now = np.sort(rng.normal(size=3000)), np.sort(rng.normal(0.1, 1, 3000))
    assert ks_of_sorted(then, now) == pytest.approx(ks_2samp(then, now).statistic)
    assert np.abs(then - now).mean() == pytest.approx(wasserstein_distance(then, now))


@pytest.mark.parametrize("floors", [(cells.NO_FLOOR, -3), (-9, -3), (-3, cells.NO_FLOOR)])
def test_equal_rows_are_equal_whatever_their_floors(floors: tuple[int, int]) -> None:
    rng = np.random.default_rng(6)
    for spread in (1, 40):  # the second needs a coarser level
        values = np.exp(rng.normal(0, spread, 50_000)) * rng.choice([-1, 1], 50_000)
        counts = np.bincount(cells.numbers_scaled(values), minlength=cells.CELLS)
        found, table = cells.side_by_side(*(cells.packed(counts, floor) for floor in floors))
        gap = np.abs(np.diff(np.cumsum(table, axis=1) / len(values), axis=0))
        assert (np.diff(found) > 0).all()
        assert gap.max() < 2e-3
        same, both = cells.side_by_side(*(cells.packed(counts, floors[0]),) * 2)
        assert (both[0] == both[1]).all()
        assert len(same) >= len(found) // 2


@pytest.mark.parametrize("values", [[], [None, None], [math.nan], [math.inf, -math.inf], [5.0] * 3, [0.0, -0.0]])
def test_empty_missing_infinite_and_constant_columns_have_profiles(values: list[float | None]) -> None:
    column = numeric(values)
    told = [value for value in values if value is not None]
    assert column.rows == len(values)
    assert column.missing == len(values) - len(told) + sum(math.isnan(value) for value in told)
    assert column.infinite == sum(math.isinf(value) for value in told)
    assert column.mean == (None if column.finite == 0 else told[0])
    assert cells.unpacked(column.cells)[1].sum() == column.finite
    assert decode(encode(profiled(values))).columns[0] == column
    both = sketching.merged(profiled(values, profiled([1.0, 2.0])), profiled([1.0], profiled([1.0, 2.0])))
    assert both.rows == len(values) + 1


def test_what_holds_no_number_adds_up_with_any_cells() -> None:
    empty, some = profiled([None, math.nan]), profiled([1e9, 1e9 + 7])
    both = sketching.merged(empty, some)
    assert both == sketching.merged(some, empty)
    assert numbers.grid_of(both.columns[0]) == numbers.grid_of(some.columns[0])  # type: ignore[arg-type]
    assert sketching.merged(both, profiled([1e9], some)).rows == 5
    fitted = sketching.profile(pa.table({"x": [1e9 + 3]}), FLOAT, (empty, some))
    assert sketching.merged(fitted, some).rows == 3


def test_a_mean_far_above_its_spread_is_exact() -> None:
    seconds = [1.36e9 + i for i in range(1000)]
    assert numeric(seconds).mean == sum(seconds) / 1000
    ids = [float(10**15 + i) for i in range(1000)]
    assert numeric(ids).total == math.fsum(ids)


def test_the_largest_floats_are_counted_without_a_warning() -> None:
    column = numeric([1.7e308, -1.7e308, 1e300, 5e-324, 0.0, 1.0])
    assert (column.rows, column.low, column.high) == (6, -1.7e308, 1.7e308)
    assert decode(encode(profiled([1.7e308, 1.7e308]))).columns[0].total < math.inf  # type: ignore[union-attr]


def test_rows_out_of_contract_are_counted_by_nullability_and_limits() -> None:
    table = pa.table({"x": [1.0, None, math.inf, -3.0, 99.0], "c": ["a", "b", None, "a", "z"]})
    strict = Signature((Column("x", "float"), Column("c", "string")), Column("y", "float"))
    limits = {"x": Limits(minimum=0, maximum=50), "c": Limits(allowed=("a", "b"))}
    assert [c.outside for c in sketching.profile(table, strict, limits=limits).columns] == [4, 2]
    assert [c.outside for c in sketching.profile(table, strict).columns] == [2, 1]
    loose = Signature((Column("x", "float", True), Column("c", "string", True)), Column("y", "float"))
    assert [c.outside for c in sketching.profile(table, loose).columns] == [1, 0]
    made = sketching.profile(table, strict, limits=limits)
    assert [c.outside for c in sketching.merged(made, made).columns] == [8, 4]
    later = sketching.profile(table, strict, decode(encode(made)))
    assert [c.outside for c in later.columns] == [4, 2]  # limits come with the profile that it is compared with
    assert later == made


def test_limits_come_from_contracts_and_ranges() -> None:
    rules = [
        contract.column("x", "float", minimum=0, maximum=9),
        contract.column("c", "string", allowed=("a", "b")),
        contract.column("t", "timestamp", minimum="2013-01-01T00:00:00Z"),
        contract.column("free", "float"),
        contract.column("many", "string", allowed=tuple(f"value {i}" for i in range(500))),
    ]
    found = limits_of(rules, {"x": Range(minimum=1.0), "y": Range(maximum=5.0)})
    assert found == {"x": Limits(minimum=1), "y": Limits(maximum=5), "c": Limits(allowed=("a", "b"))}


@settings(max_examples=20, deadline=None)
@given(st.lists(anything, max_size=60), st.integers(1, 20))
def test_batches_give_the_profile_of_the_table(values: list[float | None], size: int) -> None:
    first = profiled([0.0, 1.0, 2.0])
    profiler = sketching.Profiler(FLOAT, first)
    table = pa.table({"x": pa.array(values, pa.float64())})
    profiler.add(table.slice(0, 0))
    for batch in table.to_batches(max_chunksize=size):
        profiler.add(batch)
    assert profiler.finish() == profiled(values, first)


def test_a_batch_without_a_column_is_refused() -> None:
    profiler = sketching.Profiler(FLOAT)
    profiler.add(pa.table({"x": [1.0]}))
    with pytest.raises(Invalid, match="no column 'x'"):
        profiler.add(pa.table({"z": [1.0]}))


@pytest.mark.parametrize(
    "times",
    [
        pa.array([0, None, 86_400_000], pa.timestamp("ms", tz="UTC")),
        pa.array([0, None, 86_400_000_000], pa.timestamp("us")),
        pa.array([0, None, 1], pa.date32()),
        pa.array(["1970-01-01T00:00:00.000Z", None, "1970-01-02T01:00:00+01:00"]),
        pa.array(["1970-01-01T00:00:00", None, "1970-01-02"]),
    ],
)
def test_times_are_milliseconds_however_they_come(times: Any) -> None:
    signature = Signature((Column("t", "timestamp", True),), Column("y", "float"))
    column = sketching.profile(pa.table({"t": times}), signature).columns[0]
    assert isinstance(column, NumericColumn)
    assert (column.low, column.high, column.missing) == (0.0, 86_400_000.0, 1)


def test_texts_that_are_no_times_are_refused() -> None:
    signature = Signature((Column("t", "timestamp"),), Column("y", "float"))
    with pytest.raises(Invalid, match="cannot be read as times"):
        sketching.profile(pa.table({"t": ["soon"]}), signature)

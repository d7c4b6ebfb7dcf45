"""Thinning keeps what a screen could show; averages are what the plain recursion says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.usecases.tracking import curves

pytestmark = pytest.mark.unit

NUMBERS = st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf, -math.inf])
SERIES = st.lists(st.tuples(st.integers(-1000, 100_000), NUMBERS), min_size=1, max_size=400)


def columns(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    rows = sorted(rows, key=lambda row: row[0])
    return np.array([row[0] for row in rows], "float64"), np.array([row[1] for row in rows], "float64")


@given(SERIES, st.integers(curves.FEWEST, 120))
def test_ends_and_extremes_stay(rows: list[tuple[int, float]], points: int) -> None:
    x, y = columns(rows)
    kept = curves.thinned(x, y, points)
    assert len(kept) <= max(points, 0)
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, len(x) - 1)
    finite = y[np.isfinite(y)]
    if len(finite):
        shown = y[kept][np.isfinite(y[kept])]
        assert (shown.min(), shown.max()) == (finite.min(), finite.max())


@given(SERIES, st.integers(curves.FEWEST, 60))
def test_each_slice_keeps_its_first_last_lowest_and_highest(rows: list[tuple[int, float]], points: int) -> None:
    x, y = columns(rows)
    if len(x) <= points:
        return
    kept = set(curves.thinned(x, y, points).tolist())
    starts = curves.slices(x, points // curves.OF_A_SLICE).tolist()
    for start, end in zip(starts, [*starts[1:], len(x)], strict=True):
        part = y[start:end]
        assert {start, end - 1} <= kept
        fine = np.flatnonzero(np.isfinite(part))
        if len(fine):
            assert start + fine[part[fine].argmin()] in kept
            assert start + fine[part[fine].argmax()] in kept
        broken = np.flatnonzero(~np.isfinite(part))
        if len(broken):
            assert start + broken[0] in kept


def test_slices_are_equally_wide() -> None:
    x = np.array([0.0, 1, 2, 3, 4, 50, 51, 99, 100])
    assert curves.slices(x, 4).tolist() == [0, 5, 7]


def test_one_x_for_all_is_one_slice() -> None:
    x, y = np.zeros(100), np.arange(100.0)
    assert curves.thinned(x, y, 10).tolist() == [0, 99]


@given(st.lists(NUMBERS, min_size=1, max_size=1500), st.sampled_from([0.1, 0.6, 0.9, 0.999]))
@settings(max_examples=40)
def test_the_average_is_the_plain_recursion(values: list[float], weight: float) -> None:
    expected, mean, count = [], 0.0, 0
    for value in values:
        if not math.isfinite(value):
            expected.append(value)
            continue
        count += 1
        mean = weight * mean + (1 - weight) * value
        expected.append(mean / (1 - weight**count))
    found = curves.smoothed(np.array(values, "float64"), weight)
    scale = max((abs(value) for value in values if math.isfinite(value)), default=1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale)


def test_an_average_without_weight_is_the_curve() -> None:
    y = np.array([1.0, 5.0])
    assert curves.smoothed(y, 0.0) is y


def test_a_range_takes_a_neighbour_at_each_side() -> None:
    x = np.arange(10.0)
    assert curves.within(x, 3, 5) == slice(2, 7)
    assert curves.within(x, None, None) == slice(0, 10)
    assert curves.within(x, 100, 200).start == 9


def test_the_best_so_far_never_goes_back() -> None:
    y = np.array([math.nan, 3.0, 5.0, math.nan, 1.0])
    assert curves.best_so_far(y, lower=True).tolist()[1:] == [3, 3, 3, 1]
    assert curves.best_so_far(y, lower=False).tolist()[1:] == [3, 5, 5, 5]

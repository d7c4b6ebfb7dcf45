"""Intervals that hold at every moment: simulated, looked at after every unit."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.kit.always_valid import boundary, difference

pytestmark = pytest.mark.unit
KINDS = {
    "yes or no": lambda rng, n: (rng.random(n) < 0.3).astype(float),
    "rare": lambda rng, n: (rng.random(n) < 0.02).astype(float),
    "skewed": lambda rng, n: rng.lognormal(0, 1, n),
    "plain": lambda rng, n: rng.normal(5, 2, n),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_two_equal_arms_seldom_ever_look_different(kind: str, share: float) -> None:
    """A/A: in at least 95 % of the runs every interval, after each of 3,000 units, covers 0 (measured: 96.7 to 100 %)."""
    rng, missed, runs = np.random.default_rng(20), 0, 120
    for _ in range(runs):
        course = difference(KINDS[kind](rng, 3000), rng.random(3000) < share)
        missed += bool(np.any((course.low > 0) | (course.high < 0)))
    assert missed / runs <= 0.05


def test_a_difference_is_found_and_covered() -> None:
    """Half a standard deviation is found within 1,500 units in nearly every run, and the truth stays within."""
    rng, found, covered = np.random.default_rng(2), 0, 0
    for _ in range(40):
        second = rng.random(1500) < 0.5
        course = difference(rng.normal(0, 1, 1500) + 0.5 * second, second)
        found += bool(np.any(course.low > 0))
        covered += not np.any((course.low > 0.5) | (course.high < 0.5))
    assert (found, covered) >= (39, 38)


def test_nothing_is_told_too_early() -> None:
    values, second = np.zeros(1000), np.arange(1000) % 2 == 0
    assert np.isnan(difference(values, second).low).all()  # nothing has varied
    rng = np.random.default_rng(1)
    course = difference(rng.normal(size=1000), second)
    assert np.isnan(course.low[:99]).all()
    assert not np.isnan(course.low[-1])
    assert len(difference(np.empty(0), np.empty(0, bool), points=60).units) == 0
    assert list(difference(rng.normal(size=1000), second, points=4).units) == [1, 334, 667, 1000]


def test_looking_always_costs_width() -> None:
    assert boundary(np.array([1000.0]), 0.05)[0] == pytest.approx(3.0, abs=0.3)  # 1.96 for one look

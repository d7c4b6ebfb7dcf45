"""Tails agree with scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from loopline.kit import tails

pytestmark = pytest.mark.unit
RNG = np.random.default_rng(1)


def test_the_incomplete_gamma_function() -> None:
    shape = RNG.uniform(0.2, 300, 2000)
    x = shape * RNG.uniform(0, 3, 2000)
    assert tails.gamma_tail(shape, x) == pytest.approx(special.gammaincc(shape, x), rel=1e-9, abs=1e-250)
    assert list(tails.gamma_tail(2.0, [0.0, -1.0, np.inf])) == [1.0, 1.0, 0.0]


def test_the_incomplete_beta_function() -> None:
    a, b = 10 ** RNG.uniform(-0.5, 3.5, 2000), 10 ** RNG.uniform(-0.5, 3.5, 2000)
    x = np.clip(RNG.beta(a, b) * RNG.uniform(0.5, 1.5, 2000), 0, 1)
    assert tails.beta_part(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-12)
    assert tails.beta_part(2.0, 3.0, np.full((2, 3), 0.5)).shape == (2, 3)


def test_students_fishers_and_normal_tails() -> None:
    z = RNG.uniform(0, 30, 500)
    assert tails.f_tail(np.square(z), 1, 29.0) == pytest.approx(2 * stats.t.sf(z, 29), rel=1e-9)
    assert tails.f_tail(z, 5.5, 12.0) == pytest.approx(stats.f.sf(z, 5.5, 12), rel=1e-9)
    assert tails.normal_tails(z) == pytest.approx(2 * stats.norm.sf(z), rel=1e-9, abs=1e-250)
    assert tails.normal_above(z - 15) == pytest.approx(stats.norm.sf(z - 15), rel=1e-9)


def test_kolmogorovs_law() -> None:
    x = np.linspace(0.1, 4, 300)
    assert tails.kolmogorov_tail(x) == pytest.approx(stats.kstwobign.sf(x), abs=1e-12)


def test_the_normal_quantile() -> None:
    share = np.concatenate([10 ** RNG.uniform(-12, -0.4, 500), RNG.uniform(0.1, 0.999999, 500)])
    assert tails.normal_quantile(share) == pytest.approx(special.ndtri(share), rel=1e-12, abs=1e-12)


def test_binomial_tails() -> None:
    hits = RNG.integers(0, 60, 1000)
    trials = hits + RNG.integers(0, 5000, 1000)
    share = RNG.uniform(1e-4, 0.1, 1000)
    above, below = tails.binomial_tails(hits, trials, share)
    assert above == pytest.approx(stats.binom.sf(hits - 1, trials, share), abs=1e-10)
    assert below == pytest.approx(stats.binom.cdf(hits, trials, share), abs=1e-10)
    many = tails.binomial_tails([40_400], [100_000], [0.4])[0]
    assert many == pytest.approx(stats.binom.sf(40_399, 100_000, 0.4), rel=0.02)

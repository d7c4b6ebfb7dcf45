"""How far the truth of single days lies from what calibration expects: a level that wanders, observed through labels.

A Gaussian process over buckets of time: the level of a bucket is a slowly wandering part (correlation exp(-lag / 21 buckets)) plus
a part that is the bucket's own or fades from one to the next. The sizes of both are those under which the observed
buckets are most likely (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, ch. 2 and 5). Between
and after observed buckets it says how far the level may have wandered.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from loopline.usecases.monitoring.model.estimates.rows import Floats

MEMORY = 21.0  # buckets after which the slow part has forgotten two thirds of what it was
FADES = (0.0, 0.4)


@dataclass(frozen=True)
class Sizes:
    """Variances of the slow and of the quick part, and how the quick one fades from bucket to bucket."""

    slow: float
    quick: float
    fade: float


@dataclass(frozen=True)
class Level:
    """Mean (b) and covariance (b, b) of the level in b buckets."""

    mean: Floats
    covariance: Floats


def sizes_of(
    at: Floats, observed: Floats, variance: Floats, slow: tuple[float, ...], quick: tuple[float, ...]
) -> Sizes:
    """The sizes, of those offered, under which k observations (with their variances) at bucket numbers `at` are likeliest."""
    options = [Sizes(*choice) for choice in itertools.product(slow, quick, FADES)]
    if len(at) < 6:
        return options[len(options) // 2]
    lags = np.abs(at[:, None] - at[None])
    return max(options, key=lambda sizes: _likelihood(lags, observed, variance, sizes))


def posterior(at: Floats, observed: Floats, variance: Floats, wanted: Floats, sizes: Sizes) -> Level:
    """The level in the `wanted` buckets, given the observed ones."""
    prior = _kernel(np.abs(wanted[:, None] - wanted[None]), sizes)
    if not len(at):
        return Level(np.zeros(len(wanted)), prior)
    inner = _kernel(np.abs(at[:, None] - at[None]), sizes) + np.diag(variance)
    cross = _kernel(np.abs(wanted[:, None] - at[None]), sizes)
    gain = np.linalg.solve(inner, cross.T).T
    return Level(gain @ observed, prior - gain @ cross.T)


def draws(level: Level, count: int, rng: np.random.Generator) -> Floats:
    """(count, b) levels drawn from it."""
    values, vectors = np.linalg.eigh(level.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(level.mean + rng.standard_normal((count, len(level.mean))) @ root.T)


def _kernel(lags: Floats, sizes: Sizes) -> Floats:
    quick = np.where(lags == 0, 1.0, sizes.fade ** np.maximum(lags, 1) if sizes.fade else 0.0)
    return np.asarray(sizes.slow * np.exp(-lags / MEMORY) + sizes.quick * quick)


def _likelihood(lags: Floats, observed: Floats, variance: Floats, sizes: Sizes) -> float:
    root = np.linalg.cholesky(_kernel(lags, sizes) + np.diag(variance))
    white = np.linalg.solve(root, observed)
    return float(-0.5 * white @ white - np.log(np.diag(root)).sum())

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
MOST_SEEN = 150


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
    """The sizes, of those offered, under which the newest MOST_SEEN observations (with their variances) at bucket numbers
    `at` are likeliest."""
    options = [Sizes(*choice) for choice in itertools.product(slow, quick, FADES)]
    if len(at) < 6:
        return options[len(options) // 2]
    at, observed, variance = at[-MOST_SEEN:], observed[-MOST_SEEN:], variance[-MOST_SEEN:]
    lags = np.abs(at[:, None] - at[None])
    parts = {fade: (_slow(lags), _quick(lags, fade)) for fade in FADES}

    def likelihood(sizes: Sizes) -> float:
        far, near = parts[sizes.fade]
        root = np.linalg.cholesky(sizes.slow * far + sizes.quick * near + np.diag(variance))
        white = np.linalg.solve(root, observed)
        return float(-0.5 * white @ white - np.log(np.diag(root)).sum())

    return max(options, key=likelihood)


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
    return np.asarray(sizes.slow * _slow(lags) + sizes.quick * _quick(lags, sizes.fade))


def _slow(lags: Floats) -> Floats:
    return np.asarray(np.exp(-lags / MEMORY))


def _quick(lags: Floats, fade: float) -> Floats:
    return np.asarray(fade**lags if fade else (lags == 0).astype(np.float64))

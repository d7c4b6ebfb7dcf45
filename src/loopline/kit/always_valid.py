"""Intervals for a difference of means that hold at every moment at once, so that one may look whenever one likes.

Imports numpy: import this module only where outcomes are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST = 50  # units in each arm before an interval is told: the guarantee is asymptotic
VARIED = 5.0  # and in each arm the squared deviations, in squared ranges: of rare events about as many
TIGHTEST_AT = 1000


@dataclass(frozen=True)
class Course:
    """A difference of means (second minus first) as units arrived: after `units[i]` of them it was estimated as
    `estimate[i]`, within `low[i]` to `high[i]`. NaN where it was too early."""

    units: NDArray[np.int64]
    estimate: Floats
    low: Floats
    high: Floats


def difference(
    values: Floats, second: NDArray[np.bool_], error: float = 0.05, least: int = LEAST, points: int | None = None
) -> Course:
    """The confidence sequence for mean(second) - mean(first), for n units in the order of their arrival.

    With probability of about 1 - `error` every one of the intervals covers the true difference: an asymptotic confidence
    sequence (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
    sequences", Annals of Statistics 2024, theorem 2.2 with Robbins' normal mixture), applied to the difference in means
    through its influence, whose variance per unit is n (v1/n1 + v0/n0). Told once each arm has `least` units, and has
    varied enough: of a rare event, about five. Each variance counts two more units at the ends of the range seen.
    `points`: only so many moments, evenly spread, and the last.
    """
    order = np.arange(1, len(values) + 1)
    at = np.unique(np.linspace(1, len(values), points).astype(int)) if points and len(values) else order
    first_part, second_part = _running(values, ~second, at), _running(values, second, at)
    estimate = second_part[1] - first_part[1]
    spread = second_part[2] / second_part[0] + first_part[2] / first_part[0]
    margin = np.sqrt(spread) * boundary(at.astype(np.float64), error)
    early = (second_part[0] < least) | (first_part[0] < least) | (np.minimum(first_part[3], second_part[3]) < VARIED)
    estimate, margin = np.where(early, np.nan, estimate), np.where(early, np.nan, margin)
    return Course(at.astype(np.int64), estimate, estimate - margin, estimate + margin)


def boundary(units: Floats, error: float, tightest_at: float = TIGHTEST_AT) -> Floats:
    """How many standard errors wide each side is after so many units: 1.96 would hold at one moment only. Tightest about
    when `tightest_at` units are there (section 2.3 there)."""
    log_error = -2 * np.log(error)
    rho = (log_error + np.log(log_error) + 1) / tightest_at
    grown = units * rho + 1
    return np.asarray(np.sqrt(2 * grown / (units * rho) * np.log(np.sqrt(grown) / error)))


def _running(values: Floats, mine: NDArray[np.bool_], at: NDArray[np.int64]) -> tuple[Floats, ...]:
    """Count (at least 1), mean and variance of the marked values among the first at[i], and how much they varied."""
    weight = mine.astype(np.float64)
    centre = float(values.mean()) if len(values) else 0.0
    moved = np.where(mine, values - centre, 0.0)
    count = np.cumsum(weight)[at - 1]
    total, squares = np.cumsum(moved)[at - 1], np.cumsum(moved**2)[at - 1]
    many = np.maximum(count, 1.0)
    mean = total / many
    span = (np.maximum.accumulate(values) - np.minimum.accumulate(values))[at - 1]
    deviations = np.maximum(squares - many * mean**2, 0.0)
    varied = np.divide(deviations, span**2, out=np.zeros(len(at)), where=span > 0)
    return many, mean + centre, (deviations + span**2 / 2) / many, varied

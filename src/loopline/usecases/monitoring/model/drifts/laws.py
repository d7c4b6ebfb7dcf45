"""What is normal: for rows by chance, and for the reference's own periods. Imports numpy.

A statistic is called unusual only if three laws say so; its p-value is the largest of theirs.
- rows: as many independent rows of the reference's law. Exact (binomial) for shares, else the statistic's limit law.
- periods: what periods of the reference differ by more than chance is a variance of its own, B = mean(d^2 - chance),
  kept as far as it is more than noise (B (1 - 1/z^2) for z standard errors). d^2 / (B (1 + 1/K) + chance) follows an F law
  whose degrees of freedom below are those that the estimate of B has, (K - 1) / (B's share)^2.
- extremes: as many of the K periods as lay at least as far, of K + 1; beyond all of them (farthest / this)^h / (K + 1)
  with h = min(6, sqrt K): a tail as heavy as so few periods cannot exclude (Hill 1975). Of new values h = 2 from 0.1 % of
  rows on: a value comes with its period, not row by row; of rows beyond the edges h = 3: extremes come together.
Where the reference's periods differ no more than rows do by chance (all statistics together, at 0.1 %), the first law is all.
K counts periods that are worth an independent one: with correlation r of neighbours K (1 - r) / (1 + r).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.kit.tails import binomial_tails, f_tail, gamma_tail, kolmogorov_tail
from loopline.usecases.monitoring.model.drifts.chance import Chance, gamma_scale, table
from loopline.usecases.monitoring.model.drifts.statistics import SHARES, SIGNED
from loopline.usecases.monitoring.model.profile import Usual

Floats = NDArray[np.float64]
HILL = 6.0
ALIKE = 0.001
RARE_SHARE, NEW_POWER, OUTSIDE_POWER = 0.001, 2.0, 3.0
LEAST_PERIODS = 4
PRIOR, PRIOR_OF_ALL = 10.0, 30.0
Test = tuple[str, str]


class Chances:
    """The row law of T statistics, each of one column: arrays of length T."""

    def __init__(self, tests: Sequence[Test], entries: Sequence[Chance]) -> None:
        self.tests = tuple(tests)
        names = [statistic for _, statistic in tests]
        found = table(list(entries))
        self.square, self.degrees, self.shape = found["square"], found["degrees"], found["shape"]
        self.share, self.curved = found["share"], found["curved"]
        self.skew = found["skew"]
        self.skewed = (self.skew > 0) & (self.square > 0)
        self.scale = np.array([gamma_scale(entry) for entry in entries])
        self.signed = np.array([name in SIGNED for name in names])
        self.shares = np.array([name in SHARES for name in names])
        self.ks = np.array([name == "ks" for name in names])
        self.chi = np.array([name == "chi_square" for name in names])
        self.gamma = np.array([name == "wasserstein" for name in names])
        self.new = np.array([name == "new" for name in names])
        self.outside = np.array([name == "outside" for name in names])

    def p_values(self, distance: Floats, now: Floats, then: Floats, own: bool = False) -> Floats:
        """Of distances (T, P) between `now` (T, P) rows and `then` rows; `own`: parts of the reference and its rest."""
        rows = now * then / np.maximum(now + then, 1)
        found = np.ones(distance.shape)
        normal = self.signed & ~self.shares
        square = np.maximum(self.square, 1e-300)[:, None]
        shape, at = np.full(distance.shape, 0.5), np.square(distance) * rows / square / 2
        variance = np.maximum(2 * self.square[:, None] + self.curved[:, None] / np.maximum(rows, 1), 2e-9)
        variance = np.maximum(variance, 2 * self.square[:, None])
        pearson = 2 * square**2 / variance  # degrees of the chi-square with the same mean and variance
        shape = np.where(self.chi[:, None], pearson / 2, np.where(self.gamma[:, None], self.shape[:, None], shape))
        at = np.where(self.chi[:, None], np.square(distance) * rows * pearson / square / 2, at)
        scaled = distance * np.sqrt(rows) / np.maximum(self.scale, 1e-300)[:, None]
        at = np.where(self.gamma[:, None], scaled, at)
        known = (normal & (self.square > 0)) | (self.chi & (self.degrees > 0)) | (self.gamma & (self.scale > 0))
        found[known] = gamma_tail(np.maximum(shape[known], 1e-3), at[known])
        found[self.skewed] = self._of_skewed(distance[self.skewed], now[self.skewed], then[self.skewed])
        found[self.ks] = kolmogorov_tail(distance[self.ks] * np.sqrt(rows[self.ks]))
        found[self.shares] = self._of_shares(distance, now, then, own)
        return found

    def _of_skewed(self, distance: Floats, now: Floats, then: Floats) -> Floats:
        """A mean of skewed values: Pearson's type III law with their third moment, on the longer side."""
        z = distance * np.sqrt(now * then / np.maximum(now + then, 1) / self.square[self.skewed][:, None])
        skew = self.skew[self.skewed][:, None] / np.sqrt(np.maximum(now, 1))
        shape = 4 / np.square(np.clip(skew, 1e-3, 2.0))
        long = np.minimum(1.0, 2 * gamma_tail(shape, shape + np.abs(z) * np.sqrt(shape)))
        return np.asarray(np.where(z > 0, long, gamma_tail(0.5, np.square(z) / 2)))

    def _of_shares(self, distance: Floats, now: Floats, then: Floats, own: bool) -> Floats:
        """Two-sided: the hits of both sides fall on `now` with its share of the rows (Fisher's conditional test).

        The reference's hits follow from its share; of new values they are those that it saw once (Good and Turing)."""
        d, n, m = distance[self.shares], now[self.shares], then[self.shares]
        share = self.share[self.shares][:, None]
        mine = share + d * (m / np.maximum(n + m, 1) if own else 1.0)
        hits = np.rint(np.maximum(mine * n, 0))
        earlier = np.rint(np.maximum(share * (n + m) - mine * n if own else share * m, 0))
        above, below = binomial_tails(hits, hits + earlier, n / np.maximum(n + m, 1))
        # Fewer new values than expected are no news.
        both = np.minimum(1.0, 2 * np.minimum(above, below))
        return np.asarray(np.where(self.new[self.shares][:, None], above, both))


@dataclass(frozen=True)
class PeriodLaw:
    """What the K periods of a reference say of T statistics: `between` (T,) their own variance, `apart` (T, K) how far each
    lay in units of chance and that variance, `worth` (T,) how many independent periods they are worth."""

    window: str
    chances: Chances
    between: Floats
    apart: Floats
    worth: Floats
    rows: Floats

    def p_values(self, distance: Floats, now: Floats, then: Floats, own: bool = False) -> Floats:
        """Of distances (T, P); `own`: they are those of the periods themselves, each judged by the others."""
        chances = self.chances
        rows = 1 / np.maximum(now, 1) + 1 / np.maximum(then, 1)
        between, worth = self.between[:, None], self.worth[:, None]
        variance = between * (1 + 1 / worth) + chances.square[:, None] * rows
        least = np.where(chances.shares, 1.0, 0.0)[:, None] / np.square(np.maximum(then, 1))
        share = between / np.maximum(variance, 1e-300)
        below = np.minimum(np.maximum(worth - 1, 1) / np.maximum(share, 1e-3) ** 2, 1e6)
        free = np.maximum(np.where(chances.signed, 1.0, chances.degrees), 1.0)[:, None]
        above = 1 / (np.square(1 - share) / free + np.square(share))
        found = f_tail(np.square(distance) / np.maximum(variance + least, 1e-300), above, below)
        found = np.where((share > 0) | chances.signed[:, None], found, 0.0)
        return np.maximum(found, self._extremes(distance, rows, own))

    def _extremes(self, distance: Floats, rows: Floats, own: bool) -> Floats:
        here = standardized(distance, self.chances.square[:, None], self.between[:, None], rows)
        worth = self.worth[:, None]
        known = np.sort(self.apart, axis=1)
        count = known.shape[1]
        beyond = count - np.array([np.searchsorted(row, x - 1e-9) for row, x in zip(known, here, strict=True)])
        farthest = np.broadcast_to(known[:, -1:], here.shape)
        if own:
            beyond, count = beyond - 1, count - 1
            farthest = np.where(here >= farthest - 1e-9, known[:, -2:-1], farthest)
        power = np.minimum(HILL, np.sqrt(worth))
        # No period tells how common a value is that none of them had, nor rows beyond all edges.
        rare = (self.chances.new | self.chances.outside)[:, None]
        least = standardized(np.full(here.shape, RARE_SHARE), self.chances.square[:, None], self.between[:, None], rows)
        farthest = np.where(rare, np.maximum(farthest, least), farthest)
        power = np.where(self.chances.new[:, None], np.minimum(power, NEW_POWER), power)
        outside = np.minimum(np.minimum(power, OUTSIDE_POWER), worth / 4)
        power = np.where(self.chances.outside[:, None], outside, power)
        tail = np.minimum(farthest / np.maximum(here, 1e-12), 1.0) ** power / (worth + 1)
        among = np.maximum(beyond / (count + 1), 1 / (worth + 1))
        return np.asarray(np.where(beyond > 0, among, np.minimum(tail, 1.0)))


def standardized(distance: Floats, square: Floats, between: Floats, rows: Floats) -> Floats:
    """How far in units of chance and the variance between periods."""
    return np.asarray(np.abs(distance) / np.sqrt(np.maximum(between + square * rows, 1e-30)))


def period_law(window: str, chances: Chances, usual: Usual) -> PeriodLaw | None:
    """The law of the reference's periods; None for too few of them or statistics that it does not have."""
    if len(usual.rows) < 2:
        return None
    found = [usual.distances.get(column, {}).get(statistic) for column, statistic in chances.tests]
    if any(values is None for values in found):
        return None
    distance, sizes = np.array(found, dtype=np.float64), np.array(usual.rows, dtype=np.float64)
    total = float(sizes.sum())
    rows = 1 / sizes + 1 / np.maximum(total - sizes, 1)
    chance = chances.square[:, None] * rows
    excess = (np.square(distance) - chance).mean(axis=1)
    noise = chance.mean(axis=1) * np.sqrt(2 / len(sizes))
    z = np.minimum(excess / np.maximum(noise, 1e-300), 1e100)
    between = np.where(z > 1, excess * (1 - 1 / np.square(np.maximum(z, 1))), 0.0)
    apart = standardized(distance, chances.square[:, None], between[:, None], rows)
    return PeriodLaw(window, chances, between, apart, _worth(chances, distance, apart), sizes)


def _worth(chances: Chances, distance: Floats, apart: Floats) -> Floats:
    """How many independent periods they are worth. Statistics without a sign take the strongest correlation of those
    of their column that have one."""
    periods = distance.shape[1]
    if periods < LEAST_PERIODS:
        return np.full(len(distance), float(periods))
    signed = np.sign(distance) * apart
    moved = signed - signed.mean(axis=1, keepdims=True)
    together = (moved[:, 1:] * moved[:, :-1]).sum(axis=1) / np.maximum(np.square(moved).sum(axis=1), 1e-300)
    together = np.where(chances.signed, np.clip(together, 0.0, 0.9), 0.0)
    strongest: dict[str, float] = {}
    for (column, _), value in zip(chances.tests, together, strict=True):
        strongest[column] = max(strongest.get(column, 0.0), float(value))
    own = np.where(chances.signed, together, [strongest[column] for column, _ in chances.tests])
    return np.asarray(np.maximum(periods * (1 - own) / (1 + own), 2.0))


def effective_number(smallest: Any, most: int, prior: float = PRIOR) -> float:
    """How many independent tests are as strict as these: m of 1 - (1 - p)^m (Sidak 1967) by maximum likelihood from the
    smallest p-values of the reference's own periods, drawn to `most` by `prior` further periods, and never more (what goes
    together in the middle does so less in the tails)."""
    logs = -np.log1p(-np.clip(np.asarray(smallest, dtype=np.float64), 1e-12, 1 - 1e-9))
    own = len(logs) / max(float(logs.sum()), 1e-12)
    return float(np.clip((len(logs) * own + prior * most) / (len(logs) + prior), 1.0, max(most, 1)))


def of_several(p_value: Any, number: Any) -> Any:
    """How often the smallest of `number` independent p-values is at most `p_value`."""
    return -np.expm1(np.asarray(number) * np.log1p(-np.minimum(p_value, 1 - 1e-16)))


def alike(chances: Chances, p_values: Floats, apart: Floats) -> bool:
    """Whether the reference's periods differ from each other as rows do by chance: neither any single p-value of the row
    law (T, K), nor the sum of squares of any signed statistic is too unusual (Bonferroni at ALIKE). `apart` is in units
    of chance alone."""
    signed = chances.signed & ~chances.shares
    degrees = apart.shape[1]
    spread = gamma_tail(degrees / 2, np.square(apart[signed]).sum(axis=1) / 2) * max(int(signed.sum()), 1)
    single = float(p_values.min(initial=1.0)) * p_values.size
    return min(single, float(spread.min(initial=1.0))) >= ALIKE

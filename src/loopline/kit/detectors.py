"""Evidence of a lasting change in a sequence that is looked at again and again. Pure Python.

An e-detector (Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2023) of the
Shiryaev-Roberts kind: M(t) = (M(t-1) + 1) * bet(t). As long as nothing changed, its expectation at time t is at most t, so
it reaches c once in c steps or more seldom, whenever one looks. Bets are exponential tilts exp(tilt * (z - tolerance) -
tilt^2 / 2), fair for any z that is sub-Gaussian with variance 1 and a mean within the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from loopline.kit.sequential import log_sum

TILTS = (0.5, 1.0)
LARGEST = 3.0  # a single step counts as no more than this many standard errors: real ones have heavier tails
SIDES = (1.0, -1.0)


class Detector:
    """Gathers evidence that a mean moved beyond its tolerance, up or down. `most` bounds its log, so that it ends soon
    after what it found ended."""

    def __init__(self, most: float = math.inf) -> None:
        self._most = most
        self._logs = [-math.inf] * (len(TILTS) * len(SIDES))

    def see(self, z: float, tolerance: float = 0.0) -> None:
        """One more step: `z` is its distance from the mean before, and `tolerance` what is allowed, in standard errors."""
        bets = (
            tilt * (min(side * z, LARGEST) - tolerance) - tilt * tilt / 2 for side in SIDES for tilt in TILTS
        )  # fmt: skip
        self.bet(bets)

    def bet(self, logs: Iterable[float]) -> None:
        """One more step of other bets, as logs of e-values; one for each tilt and side, or one for all."""
        given = list(logs)
        given = given * len(self._logs) if len(given) == 1 else given
        self._logs = [
            min(log_sum([log, 0.0]) + bet, self._most) for log, bet in zip(self._logs, given, strict=True)
        ]  # fmt: skip

    @property
    def log(self) -> float:
        """The log of the e-detector, an equal mixture of all bets; minus infinity before the first step."""
        return log_sum(self._logs) - math.log(len(self._logs)) if max(self._logs) > -math.inf else -math.inf


def mixed(logs: Sequence[float], weights: Sequence[float]) -> float:
    """The log of a weighted mean of e-detectors, which is one itself; the weights sum to at most 1."""
    told = [log + math.log(weight) for log, weight in zip(logs, weights, strict=True) if log > -math.inf and weight > 0]
    return log_sum(told) if told else -math.inf


def log_calibrated(p_value: float) -> float:
    """The log of the e-value 1 / (2 sqrt(p)) of a p-value (Vovk and Wang, "E-values: calibration, combination and
    applications", 2021)."""
    return -math.log(2) - 0.5 * math.log(max(p_value, 1e-12))

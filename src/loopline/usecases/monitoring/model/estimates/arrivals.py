"""How soon truth comes, by what it says: the labels that came first are no fair sample of those to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.estimates.rows import Floats

LEAST = 50


@dataclass(frozen=True)
class Arrivals:
    """Sorted delays (milliseconds) of mature rows with label 0 and 1, and the share of rows whose truth never comes."""

    delays: tuple[NDArray[np.int64], NDArray[np.int64]]
    never: float

    def told(self, age_ms: NDArray[np.int64], label: int) -> Floats:
        """P(truth has come by this age), given what it says and that it comes at all."""
        delays = self.delays[label]
        return np.asarray(np.searchsorted(delays, age_ms, side="right") / len(delays))

    def untold(self, age_ms: NDArray[np.int64], label: int) -> Floats:
        """P(no truth yet at this age), given what it would say."""
        return self.never + (1 - self.never) * (1 - self.told(age_ms, label))


def arrivals(truth: Floats, delay_ms: NDArray[np.int64], rows: int) -> Arrivals:
    """From mature rows: `truth` (0 or 1) and delays of those that have it, of `rows` in all. Labels with fewer than LEAST
    rows share one curve."""
    every = np.sort(delay_ms)
    parts = [np.sort(delay_ms[truth == label]) for label in (0.0, 1.0)]
    first, second = (part if len(part) >= LEAST else every for part in parts)
    return Arrivals((first, second), 1 - len(truth) / max(rows, 1))


def still_one(probability: Floats, untold_one: Floats, untold_zero: Floats) -> Floats:
    """P(truth will be 1) of a row that has none yet (Bayes; Chapelle, "Modeling delayed feedback in display
    advertising", 2014)."""
    one = probability * untold_one
    return np.asarray(one / np.maximum(one + (1 - probability) * untold_zero, 1e-12))

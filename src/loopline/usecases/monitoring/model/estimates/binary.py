"""Classification into two: the probability that each row's truth will be 1, by several methods.

- cbpe: calibrated scores alone (confidence-based performance estimation, NannyML; isotonic, on the newest mature rows).
- features: calibrated by score and inputs, so that a shift of the inputs moves the estimate.
- arrived: the same plus a level and a slope of each day (bucket), learned from all labels that have arrived, weighing how
  soon each kind of label comes.
- weighted: the same, and each arrived label speaks for the rows like it that are still silent (doubly robust: Robins,
  Rotnitzky and Zhao 1994).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.estimates.arrivals import Arrivals, arrivals, still_one
from loopline.usecases.monitoring.model.estimates.calibration import Additive, Steps, additive, isotonic, sigmoid
from loopline.usecases.monitoring.model.estimates.designs import logit
from loopline.usecases.monitoring.model.estimates.doubts import contradicted, outside
from loopline.usecases.monitoring.model.estimates.expected import Scored, expected, scored
from loopline.usecases.monitoring.model.estimates.forecasts import (
    DRAWS,
    Asked,
    Forecast,
    drawn,
    learning_rows,
    spread_of,
)
from loopline.usecases.monitoring.model.estimates.levels import Level, Sizes, draws, posterior, sizes_of
from loopline.usecases.monitoring.model.estimates.rows import Floats, Rows

OFFSETS = ((0.0005, 0.01, 0.05), (0.001, 0.03, 0.1, 0.2, 0.4))
SLOPES = ((0.0002, 0.001, 0.01), (0.0005, 0.003, 0.01, 0.03, 0.1))
LEAST_CURVATURE, LEAST_TOLD, SLOPE_REACH = 1.0, 0.04, 3.0


@dataclass(frozen=True)
class Observed:
    """What the labels of buckets say of their level: means and variances at those bucket numbers."""

    at: Floats
    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Belief:
    """All that was learned by a moment. Buckets are numbered from `first_ms`."""

    as_of_ms: int
    mature_ms: int
    first_ms: int
    bucket_ms: int
    learned: Rows
    cbpe: Steps
    features: Additive
    told: Arrivals
    centre: float
    offsets: tuple[Observed, Sizes]
    slopes: tuple[Observed, Sizes]

    def forecast(self, rows: Rows, asked: Asked) -> Forecast:
        """What the methods say of a window's rows."""
        known = rows.known(self.as_of_ms)
        odds, codes, offset, slope = self._levels(rows)
        position = np.clip(odds - self.centre, -SLOPE_REACH, SLOPE_REACH)
        level = odds + offset.mean[codes] + slope.mean[codes] * position
        unsure = np.diag(offset.covariance)[codes] + np.diag(slope.covariance)[codes] * position**2
        # the mean of a sigmoid over a normal level (MacKay 1992)
        chance = sigmoid(level / np.sqrt(1 + np.pi / 8 * np.maximum(unsure, 0)))
        ones = {
            "cbpe": self.cbpe(rows),
            "features": sigmoid(odds),
            "arrived": self._still(rows, known)(chance),
            "weighted": self._weighted(rows, known, chance),
        }
        table = scored(rows.score, asked.threshold, rows.numbers.get(asked.naive))
        values = {m: {name: expected(m, table, p, asked.costs) for name, p in ones.items()} for m in asked.metrics}
        return Forecast(values, self._spreads(rows, asked), len(rows), float(known.mean()), self._doubts(rows, known))

    def _levels(self, rows: Rows) -> tuple[Floats, NDArray[np.int64], Level, Level]:
        numbers, codes = np.unique((rows.event_ms - self.first_ms) // self.bucket_ms, return_inverse=True)
        at = numbers.astype(np.float64)
        offset, slope = (
            posterior(seen.at, seen.mean, seen.variance, at, sizes) for seen, sizes in (self.offsets, self.slopes)
        )
        return logit(self.features(rows)), codes, offset, slope

    def _still(self, rows: Rows, known: NDArray[np.bool_]) -> Callable[[Floats], Floats]:
        """From chances to: truth where it has arrived, else the chance that it will be 1 although it has not come yet."""
        age, truth = np.maximum(self.as_of_ms - rows.event_ms, 0), np.nan_to_num(rows.truth)
        silent_one, silent_zero = self.told.untold(age, 1), self.told.untold(age, 0)
        return lambda chance: np.where(known, truth, still_one(chance, silent_one, silent_zero))

    def _weighted(self, rows: Rows, known: NDArray[np.bool_], chance: Floats) -> Floats:
        age = np.maximum(self.as_of_ms - rows.event_ms, 0)
        told = np.where(rows.truth > 0.5, self.told.told(age, 1), self.told.told(age, 0))
        told = np.maximum(told * (1 - self.told.never), LEAST_TOLD)
        return np.where(known, chance + (np.nan_to_num(rows.truth) - chance) / told, chance)

    def _spreads(self, rows: Rows, asked: Asked) -> dict[str, float]:
        """From levels drawn, and from labels drawn: both are what may come otherwise."""
        part, rng = drawn(rows), np.random.default_rng(20130401)
        odds, codes, offset, slope = self._levels(part)
        position = np.clip(odds - self.centre, -SLOPE_REACH, SLOPE_REACH)
        table = scored(part.score, asked.threshold, part.numbers.get(asked.naive))
        offsets, slopes = draws(offset, DRAWS, rng), draws(slope, DRAWS, rng)
        still = self._still(part, part.known(self.as_of_ms))
        middle = still(sigmoid(odds + offset.mean[codes] + slope.mean[codes] * position))
        by_level = {metric: np.empty(DRAWS) for metric in asked.metrics}
        by_label = {metric: np.empty(DRAWS) for metric in asked.metrics}
        for number in range(DRAWS):
            chance = sigmoid(odds + offsets[number][codes] + slopes[number][codes] * position)
            labels = (rng.random(len(middle)) < middle).astype(np.float64)
            _fill(by_level, number, table, still(chance), asked)
            _fill(by_label, number, table, labels, asked)
        share = len(part) / len(rows)
        return {m: (spread_of(by_level[m]) ** 2 + spread_of(by_label[m]) ** 2 * share) ** 0.5 for m in asked.metrics}

    def _doubts(self, rows: Rows, known: NDArray[np.bool_]) -> tuple[str, ...]:
        numbers = np.unique((rows.event_ms - self.first_ms) // self.bucket_ms)
        last = (self.mature_ms - self.first_ms) // self.bucket_ms
        levels = [("level", *self.offsets), ("slope", *self.slopes)]
        against = [
            contradicted(name, seen.at, seen.mean, seen.variance, sizes, seen.at < last, np.isin(seen.at, numbers))
            for name, seen, sizes in levels
        ]
        return tuple(word for word in (*against, *outside(self.learned, rows)) if word)


def believe(history: Rows, as_of_ms: int, delay_ms: int, bucket: int) -> Belief | str:
    """Learn from all rows before a moment, with the labels known then; a text says why nothing can be learned."""
    learned = learning_rows(history, as_of_ms, delay_ms)
    wrong = _too_few(learned)
    if wrong:
        return wrong
    features = additive(learned, learned.truth)
    old = history.event_ms <= as_of_ms - delay_ms
    settled = history.where(old & history.known(as_of_ms))
    told = arrivals(settled.truth, np.maximum(settled.known_ms - settled.event_ms, 0), int(old.sum()))
    first = int(history.event_ms.min()) // bucket * bucket
    odds = logit(features(history))
    centre = float(odds.mean())
    offsets, slopes = _observed(history, odds, centre, told, as_of_ms, first, bucket)
    return Belief(
        as_of_ms, as_of_ms - delay_ms, first, bucket, learned, isotonic(learned.score, learned.truth), features, told,
        centre, offsets, slopes,
    )  # fmt: skip


def _too_few(learned: Rows) -> str:
    if len(learned) < 200:
        return (
            f"only {len(learned)} predictions older than the label delay have their truth; 200 are needed to calibrate"
        )
    fewest = int(min((learned.truth > 0.5).sum(), (learned.truth < 0.5).sum()))
    if fewest < 20:
        return f"one class has only {fewest} labels among the mature ones; 20 are needed to calibrate"
    return ""


def _observed(
    history: Rows, odds: Floats, centre: float, told: Arrivals, as_of_ms: int, first_ms: int, bucket: int
) -> tuple[tuple[Observed, Sizes], tuple[Observed, Sizes]]:
    """Level and slope of each bucket by Newton's method: twice, the second time around what the first found."""
    known, age = history.known(as_of_ms), np.maximum(as_of_ms - history.event_ms, 0)
    silent_one, silent_zero = told.untold(age, 1), told.untold(age, 0)
    position = np.clip(odds - centre, -SLOPE_REACH, SLOPE_REACH)
    numbers, codes = np.unique((history.event_ms - first_ms) // bucket, return_inverse=True)
    at = numbers.astype(np.float64)
    means = [np.zeros(len(at)), np.zeros(len(at))]
    found: list[tuple[Observed, Sizes]] = []
    for _ in range(2):
        chance = sigmoid(odds + means[0][codes] + means[1][codes] * position)
        after = np.where(known, np.nan_to_num(history.truth), still_one(chance, silent_one, silent_zero))
        curve = np.maximum(chance * (1 - chance) - np.where(known, 0.0, after * (1 - after)), 0.0)
        found = []
        for place, (direction, offered) in enumerate(((np.ones(len(odds)), OFFSETS), (position, SLOPES))):
            seen = _newton(at, codes, direction, after - chance, curve, means[place])
            sizes = sizes_of(seen.at, seen.mean, seen.variance, *offered)
            means[place] = posterior(seen.at, seen.mean, seen.variance, at, sizes).mean
            found.append((seen, sizes))
    return found[0], found[1]


def _newton(
    at: Floats, codes: NDArray[np.int64], direction: Floats, rest: Floats, curve: Floats, before: Floats
) -> Observed:
    curvature = np.bincount(codes, weights=curve * direction**2, minlength=len(at))
    gradient = np.bincount(codes, weights=rest * direction, minlength=len(at))
    enough = curvature > LEAST_CURVATURE
    step = np.clip(gradient[enough] / curvature[enough], -3, 3)
    return Observed(at[enough], before[enough] + step, 1 / curvature[enough])


def _fill(into: dict[str, Floats], number: int, table: Scored, ones: Floats, asked: Asked) -> None:
    for metric, values in into.items():
        values[number] = expected(metric, table, ones, asked.costs)

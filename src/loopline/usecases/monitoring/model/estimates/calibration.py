"""From scores to probabilities, learned on rows whose truth is mature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loopline.usecases.monitoring.model.estimates.designs import Columns, Design, design
from loopline.usecases.monitoring.model.estimates.rows import Floats, Rows

ROUNDS, MOST_TRIED = 12, 9_000
STEP_PENALTIES = (10.0, 50.0, 250.0, 1_250.0, 6_250.0)
LOSS_PENALTY = 50.0
Calibration = Callable[[Rows], Floats]


@dataclass(frozen=True)
class Steps:
    """A rising step function: `values` at the increasing `scores`, straight lines between them."""

    scores: Floats
    values: Floats

    def __call__(self, rows: Rows) -> Floats:
        return np.asarray(np.interp(rows.score, self.scores, self.values))


@dataclass(frozen=True)
class Additive:
    """Additive log odds of the score and the inputs."""

    columns: Design
    weights: Floats

    def __call__(self, rows: Rows) -> Floats:
        return sigmoid(self.columns.sum(rows, self.weights))


def sigmoid(odds: Floats) -> Floats:
    """1 / (1 + exp(-odds)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)))


def isotonic(score: Floats, truth: Floats) -> Steps:
    """The rising probabilities that fit best in squared error (pool adjacent violators: Ayer et al. 1955), as CBPE
    (NannyML) uses them; kept 1e-4 away from 0 and 1."""
    scores, places = np.unique(score, return_inverse=True)
    weights = np.bincount(places).astype(np.float64)
    means = np.bincount(places, weights=truth) / weights
    values: list[float] = []
    sizes: list[float] = []
    counts: list[int] = []
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        values.append(mean)
        sizes.append(weight)
        counts.append(1)
        while len(values) > 1 and values[-2] >= values[-1]:
            value, size, count = values.pop(), sizes.pop(), counts.pop()
            values[-1] = (values[-1] * sizes[-1] + value * size) / (sizes[-1] + size)
            sizes[-1] += size
            counts[-1] += count
    return Steps(scores, np.clip(np.repeat(values, counts), 1e-4, 1 - 1e-4))


def additive(rows: Rows, truth: Floats) -> Additive:
    """Penalized logistic regression on the score (a broken line) and on steps of every input.

    Newton's method; the penalty pulls towards the score as it is (generalized additive models: Hastie and Tibshirani
    1990). How much the steps cost is what foretells the newest third best, learned on the rows before it.
    """
    made = design(rows, odds=True, residual=truth - np.clip(rows.score, 0, 1))
    columns = made.columns(rows)
    penalty, weights = _penalty(made, rows, columns, truth)
    return Additive(made, _newton(made, columns, truth, penalty, weights))


def _penalty(made: Design, rows: Rows, columns: Columns, truth: Floats) -> tuple[float, Floats | None]:
    """Of STEP_PENALTIES (for as many rows as here) the one with the least log loss of later rows, and the weights it gave."""
    order = np.argsort(rows.event_ms, kind="stable")
    order = order[:: max(len(order) // MOST_TRIED, 1)]
    before, after = np.split(order, [2 * len(order) // 3])
    if min(truth[before].sum(), (1 - truth[before]).sum()) < 10 or len(after) < 50:
        return STEP_PENALTIES[-1], None
    share, losses, found = len(before) / len(truth), {}, {}
    weights = None
    known, later = columns.take(before), columns.take(after)
    for penalty in STEP_PENALTIES:
        found[penalty] = weights = _newton(made, known, truth[before], penalty * share, weights)
        chance = np.clip(sigmoid(later.times(weights)), 1e-6, 1 - 1e-6)
        losses[penalty] = -float((truth[after] * np.log(chance) + (1 - truth[after]) * np.log1p(-chance)).mean())
    best = min(losses, key=lambda penalty: losses[penalty])
    return best, found[best]


def _newton(made: Design, columns: Columns, truth: Floats, penalty: float, near: Floats | None) -> Floats:
    """The weights; steps begin at `near`, which saves some of them."""
    penalties = made.penalties(penalty)
    start = np.zeros(len(penalties))
    start[0], start[1] = made.centre, 1.0
    weights = start if near is None else near
    for _ in range(ROUNDS):
        found = sigmoid(columns.times(weights))
        spread = np.maximum(found * (1 - found), 1e-6)
        curve = columns.curve(spread) + np.diag(penalties + 1e-6)
        step = np.linalg.solve(curve, columns.against(truth - found) - penalties * (weights - start))
        weights = weights + np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-3:
            break
    return np.asarray(weights, dtype=np.float64)


@dataclass(frozen=True)
class Additively:
    """An additive model of numbers: the expected loss of each row, never below `floor`."""

    columns: Design
    weights: Floats
    floor: float

    def __call__(self, rows: Rows) -> Floats:
        return np.maximum(self.columns.sum(rows, self.weights), self.floor)


def ridge(rows: Rows, values: Floats) -> Additively:
    """Penalized least squares on the prediction and the inputs; penalties count in units of the values' variance."""
    mean = float(values.mean())
    made = design(rows, odds=False, residual=values - mean)
    columns = made.columns(rows)
    curve = columns.curve(np.ones(len(values))) + np.diag(made.penalties(LOSS_PENALTY) + 1e-6)
    weights = np.asarray(np.linalg.solve(curve, columns.against(values - mean)), dtype=np.float64)
    weights[0] += mean
    return Additively(made, weights, 0.05 * mean)

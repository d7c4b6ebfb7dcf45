"""From scores to probabilities, learned on rows whose truth is mature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loopline.usecases.monitoring.model.estimates.designs import Design, design
from loopline.usecases.monitoring.model.estimates.rows import Floats, Rows

ROUNDS = 12
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


def additive(rows: Rows, truth: Floats, inputs: bool = True) -> Additive:
    """Penalized logistic regression on the score (a broken line) and, with `inputs`, on steps of every input.

    Newton's method; the penalty pulls towards the score as it is (generalized additive models: Hastie and Tibshirani 1990).
    """
    residual = truth - np.clip(rows.score, 0, 1) if inputs else None
    columns = design(rows, odds=True, residual=residual)
    matrix, penalties = columns.matrix(rows), columns.penalties()
    start = np.zeros(matrix.shape[1])
    start[0], start[1] = columns.centre, 1.0
    weights = start.copy()
    for _ in range(ROUNDS):
        found = sigmoid(matrix @ weights)
        spread = np.maximum(found * (1 - found), 1e-6)
        curve = (matrix * spread[:, None]).T @ matrix + np.diag(penalties + 1e-6)
        step = np.linalg.solve(curve, matrix.T @ (truth - found) - penalties * (weights - start))
        weights = weights + np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-4:
            break
    return Additive(columns, weights)


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
    columns = design(rows, odds=False, residual=values - mean)
    matrix = columns.matrix(rows)
    curve = matrix.T @ matrix + np.diag(columns.penalties() + 1e-6)
    weights = np.asarray(np.linalg.solve(curve, matrix.T @ (values - mean)), dtype=np.float64)
    weights[0] += mean
    return Additively(columns, weights, 0.05 * mean)

"""Numbers as predictions: how large each row's error will be, learned from the errors of rows with truth.

- features: expected absolute and squared error by prediction and inputs (direct loss estimation, NannyML, with an additive
  model in place of trees).
- arrived: the same times a level of each day (bucket), learned from the errors that have arrived; arrived ones count as they
  are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.estimates.calibration import Additively, ridge
from loopline.usecases.monitoring.model.estimates.doubts import contradicted, outside
from loopline.usecases.monitoring.model.estimates.forecasts import (
    DRAWS,
    Asked,
    Forecast,
    drawn,
    learning_rows,
    spread_of,
)
from loopline.usecases.monitoring.model.estimates.levels import Sizes, draws, posterior, sizes_of
from loopline.usecases.monitoring.model.estimates.rows import Floats, Rows

NUMERIC = ("mae", "mse", "rmse")
METHODS = ("features", "arrived")
SIZES = ((0.0005, 0.01, 0.05), (0.001, 0.03, 0.1, 0.3))
LEAST_ERRORS = 10


@dataclass(frozen=True)
class Losses:
    """One kind of loss ("mae" or "mse"): its model, and the log ratio of what came to what was expected by bucket."""

    expected: Additively
    residual: Floats
    at: Floats
    mean: Floats
    variance: Floats
    sizes: Sizes


@dataclass(frozen=True)
class NumericBelief:
    """All that was learned by a moment. Buckets are numbered from `first_ms`."""

    as_of_ms: int
    mature_ms: int
    first_ms: int
    bucket_ms: int
    learned: Rows
    losses: dict[str, Losses]

    def forecast(self, rows: Rows, asked: Asked) -> Forecast:
        """What the methods say of a window's rows."""
        known = rows.known(self.as_of_ms)
        values: dict[str, dict[str, float]] = {}
        spreads: dict[str, float] = {}
        for kind in ("mae", "mse"):
            values[kind], spreads[kind] = self._loss(kind, rows, known)
        values["rmse"] = {method: value**0.5 for method, value in values["mse"].items()}
        spreads["rmse"] = spreads["mse"] / max(2 * values["rmse"]["arrived"], 1e-12)
        asked_for = {metric: values[metric] for metric in asked.metrics if metric in values}
        return Forecast(asked_for, spreads, len(rows), float(known.mean()), self._doubts(rows))

    def _loss(self, kind: str, rows: Rows, known: NDArray[np.bool_]) -> tuple[dict[str, float], float]:
        losses, part = self.losses[kind], drawn(rows)
        plain = losses.expected(rows)
        numbers, codes = np.unique(self._bucket(rows), return_inverse=True)
        level = posterior(losses.at, losses.mean, losses.variance, numbers.astype(np.float64), losses.sizes)
        risen = plain * np.exp(level.mean)[codes]
        arrived = np.where(known, loss_of(kind, rows), risen)
        rng = np.random.default_rng(20130401)
        inner = np.searchsorted(numbers, self._bucket(part))
        usual, silent = losses.expected(part), ~part.known(self.as_of_ms)
        means = [float((usual * np.exp(one)[inner])[silent].sum()) for one in draws(level, DRAWS, rng)]
        by_level = spread_of(np.array(means)) / max(len(part), 1)
        by_row = float(losses.residual.std()) * float((~known).sum()) ** 0.5 / max(len(rows), 1)
        return {"features": float(plain.mean()), "arrived": float(arrived.mean())}, (by_level**2 + by_row**2) ** 0.5

    def _bucket(self, rows: Rows) -> NDArray[np.int64]:
        return np.asarray((rows.event_ms - self.first_ms) // self.bucket_ms)

    def _doubts(self, rows: Rows) -> tuple[str, ...]:
        losses, numbers = self.losses["mae"], np.unique(self._bucket(rows))
        mature = losses.at < (self.mature_ms - self.first_ms) // self.bucket_ms
        now = np.isin(losses.at, numbers)
        against = contradicted("error", losses.at, losses.mean, losses.variance, losses.sizes, mature, now)
        return tuple(word for word in (against, *outside(self.learned, rows)) if word)


def numeric_belief(history: Rows, as_of_ms: int, delay_ms: int, bucket: int) -> NumericBelief | str:
    """Learn from all rows before a moment, with the truth known then; a text says why nothing can be learned."""
    learned = learning_rows(history, as_of_ms, delay_ms)
    if len(learned) < 200:
        return f"only {len(learned)} predictions older than the label delay have their truth; 200 are needed"
    first = int(history.event_ms.min()) // bucket * bucket
    seen = history.where(history.known(as_of_ms))
    losses = {kind: _losses(kind, learned, seen, (seen.event_ms - first) // bucket) for kind in ("mae", "mse")}
    return NumericBelief(as_of_ms, as_of_ms - delay_ms, first, bucket, learned, losses)


def loss_of(kind: str, rows: Rows) -> Floats:
    """Each row's absolute ("mae") or squared error; 0 where there is no truth."""
    error = np.nan_to_num(rows.truth - rows.score)
    return np.asarray(np.abs(error) if kind == "mae" else error**2)


def realized_loss(metric: str, rows: Rows) -> float:
    """mae, mse or rmse of rows that all have their truth."""
    value = float(loss_of("mae" if metric == "mae" else "mse", rows).mean()) if len(rows) else float("nan")
    return value**0.5 if metric == "rmse" else value


def _losses(kind: str, learned: Rows, seen: Rows, buckets: NDArray[np.int64]) -> Losses:
    values = loss_of(kind, learned)
    model = ridge(learned, values)
    numbers, codes = np.unique(buckets, return_inverse=True)
    counts = np.bincount(codes)
    came, thought = (np.bincount(codes, weights=part) for part in (loss_of(kind, seen), model(seen)))
    squares = np.bincount(codes, weights=(loss_of(kind, seen) - model(seen)) ** 2)
    enough = (counts >= LEAST_ERRORS) & (came > 0)
    at = numbers[enough].astype(np.float64)
    mean = np.log(came[enough] / thought[enough])
    # the variance of a logarithm of a mean is that of the mean over its square
    usual = (values - model(learned)).var()
    row = np.maximum(squares[enough] / counts[enough], usual)
    variance = row / counts[enough] / (thought[enough] / counts[enough]) ** 2
    return Losses(model, values - model(learned), at, mean, variance, sizes_of(at, mean, variance, *SIZES))

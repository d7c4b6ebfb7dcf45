"""Which kind of model a window's rows come from, what was learned of it, and what came true."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.estimates.binary import Belief, believe
from loopline.usecases.monitoring.model.estimates.expected import BINARY, expected, scored
from loopline.usecases.monitoring.model.estimates.forecasts import Asked, Forecast, bucket_ms
from loopline.usecases.monitoring.model.estimates.regression import (
    NUMERIC,
    NumericBelief,
    numeric_belief,
    realized_loss,
)
from loopline.usecases.monitoring.model.estimates.rows import Rows
from loopline.usecases.monitoring.model.tallies import MOST_STRAYS


def asked(config: MonitorConfig, metrics: Sequence[str]) -> Asked:
    """What a monitor asks to be estimated."""
    naive = next((entry.over for entry in config.quality if entry.over), "") or ""
    return Asked(tuple(metrics), config.threshold, {str(kind): cost for kind, cost in config.costs.items()}, naive)


def learned(history: Rows, moment_ms: int, delay_ms: int, period: str) -> Belief | NumericBelief | str:
    """What the rows before a moment teach; a text says why they teach nothing."""
    history = _of_one_kind(history)
    known = history.known(moment_ms)
    if not known.any():
        return "no truth has arrived yet: there is nothing to calibrate with"
    bucket = bucket_ms(period, int(history.event_ms.min()), moment_ms)
    if not _binary(history.where(known)):
        return numeric_belief(history, moment_ms, delay_ms, bucket)
    if ((history.score < 0) | (history.score > 1)).any():
        return "predictions are no probabilities, but the truth is 0 or 1: give probabilities to have performance estimated"
    return believe(history, moment_ms, delay_ms, bucket)


def predicted(belief: Belief | NumericBelief, rows: Rows, wanted: Asked) -> Forecast:
    """What is expected of a window's rows, by the metrics that its kind of model has."""
    able = BINARY if isinstance(belief, Belief) else NUMERIC
    metrics = tuple(m for m in wanted.metrics if m in able and (m != "lead" or wanted.naive in rows.numbers))
    if isinstance(belief, NumericBelief):
        metrics = tuple(dict.fromkeys((*metrics, *NUMERIC)))
    return belief.forecast(rows, Asked(metrics, wanted.threshold, wanted.costs, wanted.naive))


def realized(rows: Rows, wanted: Asked) -> dict[str, float]:
    """What came true in rows that all have their truth; a metric without a value is left out."""
    rows = _of_one_kind(rows)
    if not len(rows):
        return {}
    if _binary(rows):
        table = scored(rows.score, wanted.threshold, rows.numbers.get(wanted.naive))
        found = {m: expected(m, table, rows.truth, wanted.costs) for m in wanted.metrics if m in BINARY}
    else:
        found = {metric: realized_loss(metric, rows) for metric in NUMERIC}
    return {metric: value for metric, value in found.items() if math.isfinite(value)}


def _of_one_kind(rows: Rows) -> Rows:
    """Without the few rows whose truth is neither 0 nor 1 where it otherwise is, as `tallies.of_one_kind` has it."""
    known = np.isfinite(rows.truth)
    ones, zeros = int((rows.truth == 1).sum()), int((rows.truth == 0).sum())
    strays = int(known.sum()) - ones - zeros
    if not strays or strays > max(1, MOST_STRAYS * int(known.sum())) or min(ones, zeros) <= strays:
        return rows
    return rows.where(~known | np.isin(rows.truth, (0.0, 1.0)))


def _binary(rows: Rows) -> bool:
    return bool(np.isin(rows.truth, (0.0, 1.0)).all())

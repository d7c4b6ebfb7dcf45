"""Two models on the same held-out rows: the evidence of a gate.

Imports numpy: import this module only where a gate runs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid
from loopline.core.tables import Signature
from loopline.kit.scores import LARGER_IS_BETTER, NEEDS_TWO_CLASSES, influences, standard_error
from loopline.ports.runtime import LoadedModel
from loopline.usecases.promotion.model.gates import (
    Estimate,
    Evidence,
    GateConfig,
    LatencyEvidence,
    SliceEvidence,
    SliceRule,
)

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_BLOCKS = 5
LEAST_OF_A_CLASS = 10
LATENCY_CALLS = 400
LATENCY_REPEATS = 3
LATENCY_SECONDS = 3.0
_DTYPES = {"float": "float64", "integer": "float64", "boolean": "bool"}
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows with a known label: `truth` float64, `blocks` int64 codes of day or week, slice values as text."""

    table: pa.Table
    truth: NDArray[np.float64]
    blocks: NDArray[np.int64]
    times_ms: NDArray[np.int64] | None
    slices: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Compared:
    """What both models say about one set of rows."""

    score: float
    champion_score: float
    gain: Estimate


def held_out(table: pa.Table, label: str, config: GateConfig) -> HeldOut:
    """The rows of an evaluation whose label is known. Invalid for a missing label or slice column."""
    import pyarrow.compute as pc

    for name in (label, *(rule.column for rule in config.slices)):
        if name not in table.column_names:
            raise Invalid(f"The held-out rows have no column {name!r}.", "Register the version with that column kept.")
    table = table.filter(pc.is_finite(_as_numbers(table[label], label)))
    truth = table[label].cast("float64").to_numpy(zero_copy_only=False)
    times = _milliseconds(table["event_time"]) if "event_time" in table.column_names else None
    slices = {
        rule.column: table[rule.column].cast("string").fill_null("").to_numpy(zero_copy_only=False)
        for rule in config.slices
    }
    return HeldOut(table, truth, _blocks(times, config, len(truth)), times, slices)


def predicted(model: LoadedModel, signature: Signature, table: pa.Table) -> NDArray[np.float64]:
    """n predictions as float64. Invalid when an input column is missing or a prediction is no finite number."""
    try:
        answers = np.asarray(model.predict(columns_of(table, signature)), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid(f"The model cannot predict the held-out rows: {error}.") from None
    strange = int((~np.isfinite(answers)).sum())
    if strange:
        raise Invalid(f"The model predicts no number for {strange} of {len(answers)} held-out rows.")
    return answers


def columns_of(table: pa.Table, signature: Signature) -> dict[str, NDArray[Any]]:
    """One numpy array per input of the signature, in its types; Invalid when a column is missing."""
    missing = [column.name for column in signature.inputs if column.name not in table.column_names]
    if missing:
        raise Invalid(f"The held-out rows have no column {missing[0]!r}, which the model takes.")
    return {column.name: _array(table[column.name], column.type) for column in signature.inputs}


def compared(
    metric: str, rows: HeldOut, challenger: NDArray[Any], champion: NDArray[Any], where: NDArray[Any] | None = None
) -> Compared:
    """Paired comparison on the same rows (those in the boolean mask `where`).

    The gain is linearised: per row the difference of both influences, summed within blocks (for AUC the paired form of
    DeLong's test with Obuchowski's clusters), so days whose rows move together do not feign certainty. On real flights
    the difference of two models has a correlation of 0.2 from one day to the next, so neighbouring days count too.
    """
    chosen = slice(None) if where is None else where
    ours, our_influence = influences(metric, rows.truth[chosen], challenger[chosen])
    theirs, their_influence = influences(metric, rows.truth[chosen], champion[chosen])
    sign = 1.0 if LARGER_IS_BETTER[metric] else -1.0
    error, degrees = standard_error(our_influence - their_influence, rows.blocks[chosen], rows.times_ms is not None)
    return Compared(ours, theirs, Estimate(sign * (ours - theirs), error, degrees))


def too_few(metric: str, rows: HeldOut, where: NDArray[Any] | None = None) -> str:
    """Why these rows cannot carry an interval, or ''."""
    chosen = slice(None) if where is None else where
    truth, blocks = rows.truth[chosen], len(np.unique(rows.blocks[chosen]))
    if blocks < LEAST_BLOCKS:
        return f"the rows span {blocks} blocks of time and an interval needs {LEAST_BLOCKS}"
    if metric in NEEDS_TWO_CLASSES and min(truth.sum(), len(truth) - truth.sum()) < LEAST_OF_A_CLASS:
        return f"fewer than {LEAST_OF_A_CLASS} rows of one class"
    return ""


def unusable(metric: str, rows: HeldOut) -> str:
    """Why the labels do not fit the metric, or ''."""
    if len(rows) == 0:
        return "no held-out row has a label"
    if metric in NEEDS_TWO_CLASSES and not np.isin(rows.truth, (0.0, 1.0)).all():
        return f"{metric} needs labels 0 and 1"
    if metric == "auc" and rows.truth.min() == rows.truth.max():
        return "all held-out rows have the same label"
    return ""


def slice_evidence(
    metric: str, rows: HeldOut, rule: SliceRule, challenger: NDArray[Any], champion: NDArray[Any]
) -> list[SliceEvidence]:
    """One entry per value of the slice column, most rows first (at most 200 values)."""
    values, counts = np.unique(rows.slices[rule.column], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:200]
    return [_one_slice(metric, rows, rule, str(values[i]), challenger, champion) for i in order]


def latency(model: LoadedModel, signature: Signature, table: pa.Table, rows: int) -> LatencyEvidence:
    """Time single calls of `rows` rows each, walking through the held-out rows, after a warm-up, on one thread as in serving.

    Each call counts with the least of three repeats: a gate runs beside live traffic, and judges the model and not its
    neighbours on the machine.
    """
    with one_thread():
        return timed_calls(model, signature, table, rows)


def one_thread() -> contextlib.AbstractContextManager[Any]:
    """Numeric libraries on one thread, where threadpoolctl (which comes with scikit-learn) is there to say so."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def timed_calls(model: LoadedModel, signature: Signature, table: pa.Table, rows: int) -> LatencyEvidence:
    """Latency quantiles of single calls."""
    columns = columns_of(table, signature)
    count = max(1, len(table) - rows + 1)
    durations: list[float] = []
    until = time.perf_counter() + LATENCY_SECONDS
    for call in range(LATENCY_CALLS + 20):
        start = (call * rows) % count
        part = {name: values[start : start + rows] for name, values in columns.items()}
        moments = [time.perf_counter()]
        for _ in range(LATENCY_REPEATS):
            model.predict(part)
            moments.append(time.perf_counter())
        durations.append(1000 * min(after - before for before, after in pairwise(moments)))
        if moments[-1] > until and call >= 40:
            break
    p50, p99 = np.percentile(durations[20:], [50, 99])
    return LatencyEvidence(rows=rows, calls=len(durations) - 20, p50_ms=float(p50), p99_ms=float(p99))


def with_rows(evidence: Evidence, rows: HeldOut) -> Evidence:
    """The evidence with what the held-out rows are."""
    import msgspec

    from loopline.core.times import from_ms

    times = rows.times_ms
    two = evidence.metric in NEEDS_TWO_CLASSES
    return msgspec.structs.replace(
        evidence,
        rows=len(rows),
        positives=int((rows.truth > 0.5).sum()) if two else 0,
        blocks=len(np.unique(rows.blocks)),
        held_out_from=from_ms(int(times.min())) if times is not None and len(times) else "",
        held_out_until=from_ms(int(times.max())) if times is not None and len(times) else "",
        notes=() if times is not None else ("no event_time: every row counts as independent",),
    )


def _one_slice(
    metric: str, rows: HeldOut, rule: SliceRule, value: str, challenger: NDArray[Any], champion: NDArray[Any]
) -> SliceEvidence:
    where = rows.slices[rule.column] == value
    count, blocks = int(where.sum()), len(np.unique(rows.blocks[where]))
    small = count < rule.minimum_rows
    reason = f"fewer than {rule.minimum_rows} rows" if small else too_few(metric, rows, where)
    if reason:
        return SliceEvidence(column=rule.column, value=value, rows=count, blocks=blocks, reason=reason)
    found = compared(metric, rows, challenger, champion, where)
    return SliceEvidence(
        column=rule.column,
        value=value,
        rows=count,
        blocks=blocks,
        challenger=found.score,
        champion=found.champion_score,
        gain=found.gain,
    )


def _blocks(times: NDArray[np.int64] | None, config: GateConfig, count: int) -> NDArray[np.int64]:
    if times is None:
        return np.arange(count, dtype=np.int64)
    days = times // _DAY_MS
    return days if config.blocks == "day" else (days + 3) // 7


def _milliseconds(column: Any) -> NDArray[np.int64]:
    """UTC milliseconds of a timestamp or ISO text column."""
    import pyarrow as pa

    try:
        times = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast("int64")
    except pa.ArrowInvalid as error:
        raise Invalid(f"The column 'event_time' of the held-out rows is no time: {error}.") from None
    if times.null_count:
        raise Invalid("The column 'event_time' of the held-out rows has empty places.", "Fill or drop those rows.")
    return np.asarray(times.to_numpy(), dtype=np.int64)


def _as_numbers(column: Any, name: str) -> Any:
    import pyarrow as pa

    try:
        return column.cast("float64")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Invalid(f"The label {name!r} of the held-out rows is no number: {error}.") from None


def _array(column: Any, kind: str) -> NDArray[Any]:
    if kind == "string":
        return np.asarray(column.cast("string").to_numpy(zero_copy_only=False), dtype=object)
    if kind == "timestamp":
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype="datetime64[ms]")
    if kind == "integer" and not column.null_count:
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=_DTYPES[kind])

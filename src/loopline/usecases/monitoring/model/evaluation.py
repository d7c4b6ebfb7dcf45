"""From the logs of predictions and truth to windows. Imports numpy: import it only where there is something new."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.tables import Column, Signature
from loopline.core.times import from_ms
from loopline.usecases.monitoring.model.arrays import DAY_MS, NO_TIME, floats_of, milliseconds, period_of
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.performance import label_delay, latency, lead, realized
from loopline.usecases.monitoring.model.profile import CategoricalColumn, Profile
from loopline.usecases.monitoring.model.truth import Joined, joined
from loopline.usecases.monitoring.model.windows import LabelDelay, Window

if TYPE_CHECKING:
    import pyarrow as pa

Known = Mapping[tuple[str, str, str], tuple[str, Window]]
OWN_NAMES = frozenset(
    ("id", "endpoint", "revision", "model", "version", "arm", "caller", "rules", "sample", "at", "event_time", "key",
     "prediction", "latency_us", "explanation", "explanation_base", "day")
)  # fmt: skip


@dataclass
class Evaluated:
    """All windows of an endpoint with the fingerprint of the rows behind each; all but `changed` are as known.

    `live` is the model and version of the newest prediction, `live_at` the version that served when each window (by its
    start) matured, or ended where none has.
    """

    windows: list[tuple[str, Window]]
    joined: Joined
    delay: LabelDelay
    watermark_ms: int
    changed: int = 0
    live: tuple[str, int | None] = ("", None)
    live_at: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Logs:
    """Predictions as arrays, one entry a row; `start` is the first millisecond of the row's window."""

    table: pa.Table
    predicted: NDArray[np.float64]
    failed: NDArray[np.bool_]
    event_ms: NDArray[np.int64]
    start: NDArray[np.int64]
    latency_us: NDArray[np.float64]
    groups: dict[str, tuple[NDArray[np.int64], list[str]]] = field(default_factory=dict)
    naive: NDArray[np.float64] | None = None


def evaluate(
    predictions: pa.Table,
    truth: pa.Table,
    config: MonitorConfig,
    known: Known,
    describe: Callable[[str, int], tuple[Signature | None, Profile | None]],
) -> Evaluated:
    """Recompute the windows whose rows or truth differ from what is `known` (by window start, column and value).

    `describe(model, version)` gives signature and training profile, as far as they exist. Rows without event time are
    placed by the time of their prediction.
    """
    logs, found = _logs(predictions, config), joined(predictions, truth)
    watermark = int(max(logs.event_ms.max(), found.known_ms.max()))
    delay = label_delay(logs.event_ms, found.known_ms, watermark)
    hours = delay.p99_hours if delay.settled else None
    if config.label_delay_hours is not None:
        hours = config.label_delay_hours
    result = Evaluated([], found, delay, watermark, live=live_version(predictions))
    served_by = _versions_over_time(predictions, logs.event_ms)
    basis = zlib.crc32(repr((config.window, config.quality, config.slices)).encode())
    for start, rows in _by_code(logs.start):
        end = start + (DAY_MS if config.window == "day" else 7 * DAY_MS)
        complete, mature = watermark >= end, hours is not None and watermark >= end + hours * 3_600_000
        print_of = _fingerprint(basis, rows, found)
        result.live_at[from_ms(start)] = served_by(end + int((hours or 0.0) * 3_600_000))
        for column, value, part in _parts(logs, rows):
            before = known.get((from_ms(start), column, value))
            if before is not None and before[0] == print_of:
                metrics, quality, labelled = before[1].metrics, before[1].quality, before[1].labelled
            else:
                metrics, labelled = _metrics(logs, found, part), int(np.isfinite(found.value[part]).sum())
                quality = _quality(logs, part, describe) if column == "" else {}
                result.changed += 1
            window = Window(
                start=from_ms(start),
                end=from_ms(end),
                column=column,
                value=value,
                predictions=len(part),
                labelled=labelled,
                complete=complete,
                mature=bool(complete and mature),
                metrics=metrics,
                quality=quality,
            )
            result.windows.append((print_of, window))
    return result


def current_rows(predictions: pa.Table, start_ms: int, end_ms: int) -> pa.Table:
    """The predictions whose event time lies in a window."""
    import pyarrow as pa

    times = _event_ms(predictions)
    return predictions.filter(pa.array((times >= start_ms) & (times < end_ms)))


def inputs_of(predictions: pa.Table, signature: Signature) -> pa.Table:
    """The inputs under their own names, and `prediction`; an input that the log renamed gets its name back."""
    columns = {column.name: predictions[_logged(column, predictions)] for column in signature.inputs}
    import pyarrow as pa

    return pa.table(columns | ({} if "prediction" in columns else {"prediction": predictions["prediction"]}))


def _logs(predictions: pa.Table, config: MonitorConfig) -> Logs:
    times = _event_ms(predictions)
    groups = {"version": _encoded(predictions["version"])}
    groups |= {name: _encoded(predictions[_named(name, predictions)]) for name in _slices(config, predictions)}
    predicted, failed = _predicted(predictions["prediction"])
    return Logs(
        table=predictions,
        predicted=predicted,
        failed=failed,
        event_ms=times,
        start=period_of(times, config.window),
        latency_us=floats_of(predictions["latency_us"]),
        groups=groups,
        naive=_naive(predictions, config),
    )


def _predicted(column: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Predictions as numbers (NaN where they are text, which no metric here judges), and which rows have none."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.full(len(column), np.nan), np.asarray(column.is_null().to_numpy(), dtype=bool)
    numbers = floats_of(column)
    return numbers, ~np.isfinite(numbers)


def _naive(predictions: pa.Table, config: MonitorConfig) -> NDArray[np.float64] | None:
    """The input that serves as a naive forecast, where the monitor names one that is logged."""
    names = [_named(entry.over, predictions) for entry in config.quality if entry.over]
    return floats_of(predictions[names[0]]) if names and names[0] in predictions.column_names else None


def _slices(config: MonitorConfig, predictions: pa.Table) -> list[str]:
    return [name for name in config.slices if _named(name, predictions) in predictions.column_names]


def _named(name: str, predictions: pa.Table) -> str:
    return f"input.{name}" if name in OWN_NAMES and f"input.{name}" in predictions.column_names else name


def _logged(column: Column, predictions: pa.Table) -> str:
    return _named(column.name, predictions)


def _event_ms(predictions: pa.Table) -> NDArray[np.int64]:
    times = milliseconds(predictions["event_time"])
    return np.where(times == NO_TIME, milliseconds(predictions["at"]), times)


def _encoded(column: Any) -> tuple[NDArray[np.int64], list[str]]:
    encoded = column.cast("string").fill_null("").combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64), encoded.dictionary.to_pylist()


def live_version(predictions: pa.Table) -> tuple[str, int | None]:
    """Model and version of the newest prediction by wall clock; ('', None) without any."""
    if not len(predictions):
        return "", None
    last = int(np.argmax(milliseconds(predictions["at"])))
    return str(predictions["model"][last].as_py()), predictions["version"][last].as_py()


def _versions_over_time(predictions: pa.Table, event_ms: NDArray[np.int64]) -> Callable[[int], int | None]:
    """Which version served the last prediction with an event time before a moment."""
    order = np.argsort(event_ms, kind="stable")
    times = event_ms[order]

    def served_by(moment: int) -> int | None:
        place = int(np.searchsorted(times, moment)) - 1
        version: int | None = predictions["version"][int(order[max(place, 0)])].as_py()
        return version

    return served_by


def _by_code(codes: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(code, rows with it in their order), codes increasing."""
    order = np.argsort(codes, kind="stable")
    values, firsts = np.unique(codes[order], return_index=True)
    for value, rows in zip(values, np.split(order, firsts[1:]), strict=True):
        yield int(value), rows


def _parts(logs: Logs, rows: NDArray[np.int64]) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    yield "", "", rows
    for column, (codes, names) in logs.groups.items():
        for code, places in _by_code(codes[rows]):
            yield column, names[code], rows[places]


def _fingerprint(basis: int, rows: NDArray[np.int64], found: Joined) -> str:
    """Differs when a window's rows or their truth differ; the log never changes a row that it has."""
    return f"{len(rows)}-{zlib.crc32(found.value[rows].tobytes(), basis):08x}"


def _metrics(logs: Logs, found: Joined, rows: NDArray[np.int64]) -> dict[str, float]:
    predicted = logs.predicted[rows]
    metrics = realized(predicted, found.value[rows], logs.event_ms[rows]) | latency(logs.latency_us[rows])
    if logs.naive is not None:
        metrics |= lead(predicted, logs.naive[rows], found.value[rows], logs.event_ms[rows])
    metrics["error_share"] = float(logs.failed[rows].mean())
    return {name: round(float(value), 9) for name, value in metrics.items()}


def _quality(
    logs: Logs,
    rows: NDArray[np.int64],
    describe: Callable[[str, int], tuple[Signature | None, Profile | None]],
) -> dict[str, dict[str, float]]:
    """Shares of missing, unknown and out-of-contract values by input, against the version that served most rows."""
    part = logs.table.take(rows)
    model, version = live_version(part)
    signature, profile = describe(model, version) if version is not None else (None, None)
    found: dict[str, dict[str, float]] = {"missing": {}, "unknown": {}, "out_of_contract": {}}
    for column in () if signature is None else signature.inputs:
        name = _logged(column, part)
        if name in part.column_names:
            for kind, share in _column_quality(part[name], column, profile):
                found[kind][column.name] = round(share, 9)
    return found


def _column_quality(values: Any, column: Column, profile: Profile | None) -> Iterator[tuple[str, float]]:
    import pyarrow.compute as pc

    count = max(len(values), 1)
    missing, infinite = values.null_count, 0
    if column.type == "float":
        numbers = floats_of(values)
        missing, infinite = int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum())
    yield "missing", missing / count
    yield "out_of_contract", (infinite + (0 if column.nullable else missing)) / count
    before = None if profile is None else profile.column(column.name)
    if isinstance(before, CategoricalColumn) and not before.folded:
        import pyarrow as pa

        texts = values.cast("string").drop_null()
        seen = pc.is_in(texts, value_set=pa.array(list(before.values), pa.string()))
        yield "unknown", (len(texts) - (pc.sum(seen).as_py() or 0)) / count

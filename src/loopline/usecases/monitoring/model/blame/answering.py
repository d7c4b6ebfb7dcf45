"""From the logged rows of two stretches to what explains the change. Imports numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from loopline.core.times import from_ms
from loopline.usecases.monitoring.model.arrays import NO_TIME, floats_of, milliseconds
from loopline.usecases.monitoring.model.blame import features as moving
from loopline.usecases.monitoring.model.blame.explain import Explained, explained
from loopline.usecases.monitoring.model.blame.results import (
    Blame,
    BlamedFeature,
    BlamedPart,
    BlamedVersion,
    Span,
)
from loopline.usecases.monitoring.model.blame.rows import (
    Coded,
    Flags,
    Floats,
    Ints,
    Rows,
    blocks,
    coded,
    goes_with_time,
    joined,
)
from loopline.usecases.monitoring.model.blame.shares import Share, by_value
from loopline.usecases.monitoring.model.blame.values import lead_values, row_values, value_over
from loopline.usecases.monitoring.model.blame.versions import beside
from loopline.usecases.monitoring.model.config import MonitorConfig

if TYPE_CHECKING:
    import pyarrow as pa

LOGGED = frozenset(
    ("id", "endpoint", "revision", "model", "version", "arm", "caller", "rules", "sample", "at", "event_time", "key",
     "prediction", "latency_us", "explanation", "explanation_base", "day", "truth", "known_at")
)  # fmt: skip
LEAST = 30
VERSION = "version"


class Log(NamedTuple):
    """Rows of both stretches, one below the other."""

    table: pa.Table
    now: Flags
    block: Ints
    times: Ints
    predicted: Floats


def answered(asked: Any, then: pa.Table, now: pa.Table, truth_of: Callable[[Any], Any], config: MonitorConfig) -> Blame:
    """What explains the change of `asked.metric`; without enough rows that have it, only which features moved."""
    log = _log(then, now)
    value, value_of = _values(asked, log, truth_of, config)
    known = np.isfinite(value)
    columns = _columns(log, config)
    sides = [int((known & side).sum()) for side in (~log.now, log.now)]
    found = (
        None
        if min(sides) < LEAST
        else explained(
            Rows(value, log.now, log.block, columns, frozenset((VERSION, "arm", *config.slices))).at(known),
            value_of=value_of,
        )
    )
    means = (None, None) if found is None else found.means
    kept = Log(log.table, log.now, log.block, log.times, log.predicted)
    shifts, use_from = _features(kept, columns)
    return Blame(
        endpoint=asked.endpoint,
        alert=asked.alert,
        cause=asked.cause,
        metric=asked.metric,
        then=Span(start=asked.then[0], end=asked.then[1], rows=sides[0], value=means[0]),
        now=Span(start=asked.now[0], end=asked.now[1], rows=sides[1], value=means[1]),
        change=None if found is None else found.change,
        parts=() if found is None else _parts(found, log, known, shifts),
        rest=None if found is None else found.rest,
        columns={} if found is None else _by_column(value, known, log, columns, config, found.change),
        features=shifts,
        use_from=use_from,
        versions=_versions(value, known, log),
    )


def _log(then: pa.Table, now: pa.Table) -> Log:
    import pyarrow as pa

    table = pa.concat_tables([then, now], promote_options="permissive")
    later = np.arange(len(table)) >= len(then)
    times = milliseconds(table["event_time"])
    times = np.where(times == NO_TIME, milliseconds(table["at"]), times)
    return Log(table, later, blocks(times, later), times, _numbers(table["prediction"]))


def _numbers(column: Any) -> Floats:
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.full(len(column), np.nan)
    return floats_of(column)


def _values(
    asked: Any, log: Log, truth_of: Callable[[Any], Any], config: MonitorConfig
) -> tuple[Floats, Callable[[Flags], float] | None]:
    """What each row adds to the metric, NaN for rows that do not have it; and for one that is no mean over rows its
    value over some of those that have it."""
    if asked.metric == "predicted_mean":
        return log.predicted, None
    if asked.metric == "error_share":
        return np.asarray(log.table["prediction"].is_null().to_numpy(), dtype=float), None
    if asked.metric == "slow_share":
        took = floats_of(log.table["latency_us"]) / 1000
        return np.where(np.isfinite(took), took > (asked.limit or np.nanquantile(took, 0.99)), np.nan), None
    if asked.metric == "missing_share":
        return _missing(log, asked.column), None
    truth = np.asarray(truth_of(log.table), dtype=float)
    known = np.isfinite(truth) & np.isfinite(log.predicted)
    found = np.full(len(known), np.nan)
    measured = _measured(asked.metric, truth[known], log, known, config) if _both(known, log.now) else None
    if measured is None:
        return found, None
    found[known] = measured
    over = _over(log, config)
    naive = None if over is None else over[known]
    return found, value_over(asked.metric, truth[known], log.predicted[known], naive)


def _measured(metric: str, truth: Floats, log: Log, known: Flags, config: MonitorConfig) -> Floats | None:
    over = _over(log, config)
    if metric == "lead":
        return None if over is None else lead_values(truth, log.predicted[known], over[known], log.now[known])
    return row_values(metric, truth, log.predicted[known], log.now[known], config.threshold, config.costs)


def _over(log: Log, config: MonitorConfig) -> Floats | None:
    """The input that serves as a naive forecast; an empty value counts as the median."""
    over = next((entry.over for entry in config.quality if entry.metric == "lead" and entry.over), "")
    name = _named(log.table, over) if over else ""
    if not name:
        return None
    values = floats_of(log.table[name])
    return np.where(np.isfinite(values), values, np.nanmedian(values) if np.isfinite(values).any() else 0.0)


def _both(known: Flags, now: Flags) -> bool:
    return bool((known & now).any() and (known & ~now).any())


def _missing(log: Log, column: str) -> Floats:
    import pyarrow as pa

    name = _named(log.table, column)
    if not name:
        return np.full(len(log.table), np.nan)
    values = log.table[name]
    if pa.types.is_floating(values.type):
        return np.isnan(floats_of(values)).astype(float)
    return np.asarray(values.is_null().to_numpy(), dtype=float)


def _named(table: pa.Table, name: str) -> str:
    found = f"input.{name}" if f"input.{name}" in table.column_names else name
    return found if found in table.column_names else ""


def _inputs(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name not in LOGGED]


def _columns(log: Log, config: MonitorConfig) -> tuple[Coded, ...]:
    """All columns that rows can be split by: inputs, the version, the arm, and declared slices that are none of these."""
    names = dict.fromkeys([*_inputs(log.table), *(_named(log.table, slice_) for slice_ in config.slices)])
    found = [
        coded(name.removeprefix("input."), log.table[name], log.now)
        for name in names
        if name and name not in ("id", "key")
    ]
    import pyarrow as pa

    extra = [name for name in (VERSION, "arm") if name in log.table.column_names]
    told = [coded(name, log.table[name].cast(pa.string()), log.now) for name in extra]
    return joined([*told, *found])


def _parts(found: Explained, log: Log, known: Flags, shifts: tuple[BlamedFeature, ...]) -> tuple[BlamedPart, ...]:
    totals = [max(int((known & side).sum()), 1) for side in (~log.now, log.now)]
    weight = {one.name: one.weight for one in shifts}
    parts = []
    for one, rows, share in found.segments:
        own = {condition.column.name for condition in one.conditions}
        chosen = np.zeros(len(known), dtype=bool)
        chosen[np.flatnonzero(known)] = rows
        kind = VERSION if own == {VERSION} else "segment"
        told = _moved_within(log, chosen, own, weight) if min(share.rows) >= LEAST else ""
        parts.append(_part(kind, one.told(), share, totals, found.change, one.z, told))
    return tuple(parts)


def _part(
    kind: str, segment: str, share: Share, totals: list[int], change: float, z: float | None = None, told: str = ""
) -> BlamedPart:
    means = [None if not np.isfinite(mean) else float(mean) for mean in share.means]
    return BlamedPart(
        kind=kind,
        segment=segment,
        part=share.whole,
        within=share.within,
        mix=share.mix,
        share=share.whole / change if change else 0.0,
        value_then=means[0],
        value_now=means[1],
        rows_then=share.rows[0] / totals[0],
        rows_now=share.rows[1] / totals[1],
        z=z,
        moved=told,
    )


def _moved_within(log: Log, chosen: Flags, own: set[str], weight: Mapping[str, float]) -> str:
    """How the feature that moved most inside a segment did, where one did by more than chance."""
    best, name = 0.0, ""
    for column in joined([coded(name, log.table[name], log.now) for name in _inputs(log.table)]):
        if column.name in own:
            continue
        shift = moving.moved(column.at(chosen), _dense(log.block[chosen]), log.now[chosen])
        value = shift.excess * (0.1 + weight.get(column.name.removeprefix("input."), 0.0))
        if shift.excess > 0.05 and value > best:
            best, name = value, column.name
    return moving.told(name.removeprefix("input."), log.table[name], log.now, chosen) if name else ""


def _dense(block: Ints) -> Ints:
    return np.asarray(np.unique(block, return_inverse=True)[1], dtype=np.int64)


def _by_column(
    value: Floats, known: Flags, log: Log, columns: tuple[Coded, ...], config: MonitorConfig, change: float
) -> dict[str, tuple[BlamedPart, ...]]:
    totals = [max(int((known & side).sum()), 1) for side in (~log.now, log.now)]
    found = {}
    for column in columns:
        if column.name not in (*config.slices, VERSION):
            continue
        parts = by_value(value[known], log.now[known], column.codes[known], len(column.names))
        told = [
            _part("value", column.told(at, at), share, totals, change)
            for at, share in enumerate(parts)
            if sum(share.rows)
        ]
        found[column.name] = tuple(sorted(told, key=lambda part: -abs(part.part)))
    return found


def _features(log: Log, columns: tuple[Coded, ...]) -> tuple[tuple[BlamedFeature, ...], str]:
    """Every input by weight, and where the model's use of it was taken from."""
    logged = {name.removeprefix("input."): name for name in _inputs(log.table)}
    inputs = [column for column in columns if column.name in logged]
    inputs = [column for column in inputs if not goes_with_time(column, log.block)]
    shifts = {column.name: moving.moved(column, log.block, log.now) for column in inputs}
    use, use_from = _use(log, inputs)
    weight, whole = moving.weights(shifts, use), sum(use.values()) or 1.0
    order = sorted(shifts, key=lambda name: (-weight[name], -shifts[name].distance, name))
    return tuple(
        BlamedFeature(
            name=name,
            moved=shifts[name].distance,
            usual=shifts[name].usual,
            use=use.get(name, 0.0) / whole,
            weight=weight[name],
            told=moving.told(name, log.table[logged[name]], log.now) if weight[name] > 0 else "",
        )
        for name in order
    ), use_from


def _use(log: Log, inputs: list[Coded]) -> tuple[dict[str, float], str]:
    if "explanation" in log.table.column_names:
        use = moving.explained_use(log.table["explanation"])
        if use:
            return use, "the contributions that were logged with predictions"
    use, share = moving.copied_use(log.predicted, inputs, ~log.now)
    if not use:
        return {}, ""
    return use, f"a copy of the model, fitted to its predictions ({100 * share:.0f} % of their variance)"


def _versions(value: Floats, known: Flags, log: Log) -> tuple[BlamedVersion, ...]:
    names = log.table["model"].to_pylist()
    numbers = floats_of(log.table[VERSION])
    found = []
    for number in np.unique(numbers[np.isfinite(numbers)]):
        mine = numbers == number
        first = int(np.flatnonzero(mine)[0])
        sides = [mine & known & side for side in (~log.now, log.now)]
        means = [float(value[side].mean()) if side.any() else None for side in sides]
        near = beside(value[known], log.block[known], mine[known]) if known.any() else None
        found.append(
            BlamedVersion(
                model=str(names[first]),
                version=int(number),
                first_at=from_ms(int(log.times[mine].min())),
                rows_then=int((mine & ~log.now).sum()),
                rows_now=int((mine & log.now).sum()),
                value_then=means[0],
                value_now=means[1],
                gap=None if near is None else near.gap,
                gap_error=None if near is None else near.error,
            )
        )
    return tuple(found)

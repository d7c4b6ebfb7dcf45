"""From the rows of a unit and their truth to what the book keeps of them. Imports numpy: import it only where there is news."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.books.heads import Bucket, Head, Unit
from loopline.usecases.monitoring.model.arrays import HOUR_MS, NO_TIME, believed, floats_of, milliseconds, period_of
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.limits import beyond
from loopline.usecases.monitoring.model.looking import Describe
from loopline.usecases.monitoring.model.profile import CategoricalColumn, Profile
from loopline.usecases.monitoring.model.quality.merging import merged as added
from loopline.usecases.monitoring.model.quality.tallying import Rows, tallied, texts
from loopline.usecases.monitoring.model.tallies import NEVER_MS, Tally
from loopline.usecases.monitoring.model.texts import unseen
from loopline.usecases.monitoring.model.truth import Joined, joined

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
MOST_SHORT = 32_000
NARROW = ("id", "model", "version", "arm", "at", "event_time", "key", "prediction", "latency_us")
OWN_NAMES = frozenset(
    ("id", "endpoint", "revision", "model", "version", "arm", "caller", "rules", "sample", "at", "event_time", "key",
     "prediction", "latency_us", "explanation", "explanation_base", "day")
)  # fmt: skip


class Quality(msgspec.Struct, array_like=True):
    """One input in the rows of a bucket and version: `unknown` of `texts` values were never seen in training (None where
    that is not known), `broken` places are infinite, or empty where they must not be."""

    rows: int
    missing: int
    broken: int
    unknown: int | None = None


class TallyOf(msgspec.Struct, array_like=True):
    """The tally of one bucket and segment; `column` "" for all rows."""

    start: int
    column: str
    value: str
    tally: Tally


class QualityOf(msgspec.Struct, array_like=True):
    """The inputs of one bucket and version, and the time (wall clock) of its last prediction."""

    start: int
    model: str
    version: int | None
    last_at: int
    inputs: dict[str, Quality]


class Tallies(msgspec.Struct):
    """What is kept of a unit beside its profiles; it depends on the truth."""

    mark: str
    basis: str
    truth: str
    tallies: list[TallyOf]
    quality: list[QualityOf]


class ProfileOf(msgspec.Struct, array_like=True):
    """The profile of one bucket and version."""

    start: int
    model: str
    version: int | None
    profile: Profile


class Profiles(msgspec.Struct):
    """What is kept of a unit's rows whatever the truth."""

    mark: str
    profiles: list[ProfileOf]


@dataclass
class Gathered:
    """What pieces of a unit add up to."""

    tallies: dict[tuple[int, str, str], Tally] = field(default_factory=dict)
    quality: dict[tuple[int, str, int | None], QualityOf] = field(default_factory=dict)
    served: dict[int, tuple[int, int, int | None]] = field(default_factory=dict)
    hours: set[int] = field(default_factory=set)
    matched: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    newest: tuple[int, str, int | None] = (NEVER_MS, "", None)

    def take(
        self, table: pa.Table, truth: pa.Table, truth_parts: Ints, config: MonitorConfig, describe: Describe | None
    ) -> None:  # fmt: skip
        """Count rows that were not counted yet. `truth`: all that may speak of them, in the order of receipt, with the
        part of each record. With `describe` the quality of the inputs is counted, too."""
        found = joined(table, truth, counted=False)
        event_ms = event_times(table)
        buckets = period_of(event_ms, bucket_of(config))
        rows, segments = _rows(table, truth, found, event_ms, config), list(_segments(table, config))
        for start, places in by_code(buckets, HOUR_MS):
            part = rows.take(places)
            whole = tallied(part, config)
            self._add(start, "", "", whole)
            for column, codes, names in segments:
                for code, inner in by_code(codes[places]):
                    alone = len(inner) == len(places)
                    tally = whole if alone else tallied(rows.take(places[inner]), config)
                    self._add(start, column, names[code], tally)
        self._place(table, event_ms)
        for part_number in np.unique(truth_parts).tolist():
            matched = found.matched[truth_parts == part_number]
            self.matched[part_number] = self.matched.get(part_number, np.zeros(len(matched), dtype=bool)) | matched
        if describe is not None:
            self._look_at(table, buckets, describe)

    def head(self, unit: Unit, truth: str) -> Head:
        """The unit as the index has it."""
        return Head(
            unit=unit,
            truth=truth,
            newest=self.newest,
            buckets=tuple(self._bucket(start) for start in sorted({key[0] for key in self.tallies})),
            served=tuple(self.served[hour] for hour in sorted(self.served)),
            hours=tuple(sorted(self.hours)),
            matched={
                part: b"" if bits.all() else np.packbits(bits).tobytes() for part, bits in sorted(self.matched.items())
            },
        )

    def _bucket(self, start: int) -> Bucket:
        whole = self.tallies[start, "", ""]
        print_of = 0
        for key in sorted(key for key in self.tallies if key[0] == start):
            print_of = zlib.crc32(repr(key).encode() + msgspec.msgpack.encode(self.tallies[key]), print_of)
        for version in sorted((key for key in self.quality if key[0] == start), key=repr):
            print_of = zlib.crc32(msgspec.msgpack.encode(self.quality[version]), print_of)
        lasts = whole.last_event_ms, whole.last_known_ms
        return Bucket(start, whole.rows, whole.labelled, print_of, *lasts, whole.delays)

    def _add(self, start: int, column: str, value: str, tally: Tally) -> None:
        before = self.tallies.get((start, column, value))
        self.tallies[start, column, value] = tally if before is None else added(before, tally)

    def _place(self, table: pa.Table, event_ms: Ints) -> None:
        """Which version served the last prediction of each event hour, the newest of all, and hours of rows with a key."""
        versions = table["version"]
        hours = event_ms // HOUR_MS
        order = np.lexsort((np.arange(len(event_ms)), event_ms))
        last = order[np.append(np.flatnonzero(np.diff(hours[order])), len(order) - 1)]
        for place in last.tolist():
            entry = (int(hours[place]), int(event_ms[place]), versions[place].as_py())
            before = self.served.get(entry[0])
            self.served[entry[0]] = entry if before is None or entry[1] >= before[1] else before
        at = milliseconds(table["at"])
        newest = int(np.argmax(at))
        if at[newest] >= self.newest[0]:
            self.newest = (int(at[newest]), str(table["model"][newest].as_py()), versions[newest].as_py())
        keyed = np.asarray(table["key"].is_valid().to_numpy(), dtype=bool)
        given = milliseconds(table["event_time"])
        self.hours.update(np.unique(given[keyed & (given != NO_TIME)] // HOUR_MS).tolist())

    def _look_at(self, table: pa.Table, buckets: Ints, describe: Describe) -> None:
        at = milliseconds(table["at"])
        for (start, model, version), part, places in versions_in(table, buckets):
            signature, profile = describe(model, version) if version is not None else (None, None)
            last = int(at[places].max())
            found = {
                column.name: _quality(part[logged(column.name, part)], column, profile)
                for column in (() if signature is None else signature.inputs)
                if logged(column.name, part) in part.column_names
            }
            before = self.quality.get((start, model, version))
            both = found if before is None else _both(before.inputs, found)
            last = last if before is None else max(last, before.last_at)
            self.quality[start, model, version] = QualityOf(start, model, version, last, both)


def bucket_of(config: MonitorConfig) -> str:
    """Buckets are days, or hours where windows are."""
    return "hour" if config.window == "hour" else "day"


def narrow(config: MonitorConfig) -> list[str]:
    """The columns that tallies need."""
    over = [entry.over for entry in config.quality if entry.over]
    asked = [*config.slices, *config.protected, *over, *([config.group] if config.group else [])]
    named = [name for column in asked for name in (column, f"input.{column}")]
    return list(dict.fromkeys([*NARROW, *named]))


def versions_in(table: pa.Table, buckets: Ints) -> Iterator[tuple[tuple[int, str, int | None], pa.Table, Ints]]:
    """((bucket, model, version), its rows, their places)."""
    models, names = encoded(table["model"])
    versions, numbers = encoded(table["version"])
    for start, rows in by_code(buckets, HOUR_MS):
        for code, inner in by_code(models[rows] * len(numbers) + versions[rows]):
            places, number = rows[inner], numbers[code % len(numbers)]
            part = table if len(places) == len(table) else table.take(places)
            yield (start, names[code // len(numbers)], int(number) if number else None), part, places


def by_code(codes: Ints, step: int = 1) -> Iterator[tuple[int, Ints]]:
    """(code, rows with it in their order), codes increasing; all are whole multiples of `step` apart."""
    if not len(codes):
        return
    places = (codes - codes.min()) // step
    short = int(places.max()) <= MOST_SHORT  # those are sorted by their digits, in one pass
    order = np.argsort(places.astype(np.int16) if short else places, kind="stable")
    firsts = np.flatnonzero(np.diff(places[order])) + 1
    for rows in np.split(order, firsts):
        yield int(codes[rows[0]]), rows


def encoded(column: Any) -> tuple[Ints, list[str]]:
    """Values as numbers, and the text of each number; an empty place is ""."""
    found = column.cast("string").fill_null("").combine_chunks().dictionary_encode()
    return np.asarray(found.indices.to_numpy(), dtype=np.int64), found.dictionary.to_pylist()


def event_times(predictions: pa.Table) -> Ints:
    """Event times in milliseconds; rows without a believable one are placed by the time of their prediction."""
    return believed(milliseconds(predictions["event_time"]), milliseconds(predictions["at"]))


def logged(name: str, predictions: pa.Table) -> str:
    """The column of an input: one that bears a name of the log's own was renamed."""
    return f"input.{name}" if name in OWN_NAMES and f"input.{name}" in predictions.column_names else name


def inputs_of(predictions: pa.Table, signature: Signature) -> pa.Table:
    """The inputs under their own names, and `prediction`; an input that the log renamed gets its name back. One that is not
    logged is left out."""
    import pyarrow as pa

    names = {column.name: logged(column.name, predictions) for column in signature.inputs}
    columns = {name: predictions[own] for name, own in names.items() if own in predictions.column_names}
    own = [name for name in ("prediction", "latency_us") if name not in columns and name in predictions.column_names]
    return pa.table(columns | {name: predictions[name] for name in own})


def _rows(table: pa.Table, truth: pa.Table, found: Joined, event_ms: Ints, config: MonitorConfig) -> Rows:
    predicted, failed, said = _predicted(table["prediction"])
    return Rows(
        predicted=predicted,
        truth=found.value,
        failed=failed,
        latency_us=floats_of(table["latency_us"]),
        event_ms=event_ms,
        known_ms=found.known_ms,
        predicted_text=said,
        labels=found.label,
        groups=_groups(table, config),
        naive=_naive(table, config),
    )


def _predicted(column: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[Any] | None]:
    """Predictions as numbers (NaN where they are text), which rows have none, and texts."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        failed = np.asarray(column.is_null().to_numpy(), dtype=bool)
        return np.full(len(column), np.nan), failed, texts(column.to_pylist())
    numbers = floats_of(column)
    return numbers, ~np.isfinite(numbers), None


def _groups(table: pa.Table, config: MonitorConfig) -> Ints | None:
    name = config.group if config.group == "key" else logged(config.group, table)
    if not config.group or name not in table.column_names:
        return None
    codes, names = encoded(table[name])
    return np.where(np.array([text != "" for text in names], dtype=bool)[codes], codes, -1) if names else codes


def _naive(table: pa.Table, config: MonitorConfig) -> NDArray[np.float64] | None:
    """The input that serves as a naive forecast, where the monitor names one that is logged."""
    names = [logged(entry.over, table) for entry in config.quality if entry.over]
    return floats_of(table[names[0]]) if names and names[0] in table.column_names else None


def _segments(table: pa.Table, config: MonitorConfig) -> Iterator[tuple[str, Ints, Sequence[str]]]:
    yield "version", *encoded(table["version"])
    if "arm" in table.column_names:
        yield "arm", *encoded(table["arm"])
    for column in dict.fromkeys([*config.slices, *config.protected]):
        if column not in ("version", "arm") and logged(column, table) in table.column_names:
            yield column, *encoded(table[logged(column, table)])


def _quality(values: Any, column: Column, profile: Profile | None) -> Quality:
    missing, infinite = values.null_count, 0
    if column.type == "float":
        numbers = floats_of(values)
        missing, infinite = int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum())
    found = Quality(len(values), missing, infinite + (0 if column.nullable else missing))
    before = None if profile is None else profile.column(column.name)
    if isinstance(before, CategoricalColumn):
        found.unknown = unseen(values, before)
    if before is not None and before.limits is not None:
        found.broken += beyond(values, before.limits)
    return found


def _both(one: Mapping[str, Quality], other: Mapping[str, Quality]) -> dict[str, Quality]:
    names: Iterable[str] = dict.fromkeys([*one, *other])
    return {name: together([each[name] for each in (one, other) if name in each]) for name in names}


def together(parts: Sequence[Quality]) -> Quality:
    """The input in all these rows."""
    unknown = [part.unknown for part in parts if part.unknown is not None]
    return Quality(
        sum(part.rows for part in parts),
        sum(part.missing for part in parts),
        sum(part.broken for part in parts),
        sum(unknown) if unknown else None,
    )

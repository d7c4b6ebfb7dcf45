"""From a table to its profile, and from two profiles to one. Imports numpy: import it only where profiles are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid
from loopline.core.tables import Column, Signature
from loopline.core.times import from_ms
from loopline.usecases.monitoring.model import numbers, texts
from loopline.usecases.monitoring.model.arrays import NO_TIME, milliseconds, period_of
from loopline.usecases.monitoring.model.cells import CELLS, unpacked
from loopline.usecases.monitoring.model.limits import Limits
from loopline.usecases.monitoring.model.numbers import MILLISECONDS, NumericCounts, grid_of
from loopline.usecases.monitoring.model.profile import (
    CategoricalColumn,
    NumericColumn,
    Profile,
    ProfiledColumn,
    Usual,
)
from loopline.usecases.monitoring.model.texts import TextCounts

if TYPE_CHECKING:
    import pyarrow as pa

MOST_PERIODS = 100
PREDICTION = Column("prediction", "float", nullable=True)
LATENCY = Column("latency_ms", "float", nullable=True)
LOGGED_LATENCY = "latency_us"
Like = Profile | Sequence[Profile | None] | None


def profile(
    table: pa.Table,
    signature: Signature,
    like: Like = None,
    event_time: str = "",
    limits: Mapping[str, Limits] | None = None,
) -> Profile:
    """Profile the signature's inputs, and the prediction (column `prediction`) and the latency (milliseconds, from the
    log's column `latency_us`) when they are there.

    `like` fixes centre and scale, so that both profiles can be compared and merged; of several profiles the first one
    counts that has the column. With `event_time` (a timestamp column) the profile also says how much the table's own
    days and weeks differ. `limits` say what beyond type and nullability is out of contract; by default those of `like`. Invalid for a missing column
    or one of another type.
    """
    made = Profiler(signature, like, limits).whole(table)
    if not event_time or event_time not in table.column_names:
        return made
    times = milliseconds(table[event_time])
    if (times == NO_TIME).any():
        table, times = table.filter(times != NO_TIME), times[times != NO_TIME]
    inputs = tuple(column for column in made.columns if column.name in table.column_names)
    usual = {window: _usual(table, inputs, times, window) for window in ("day", "week")}
    return msgspec.structs.replace(made, usual={name: law for name, law in usual.items() if law.rows})


class Profiler:
    """A profile of rows that come in batches: memory stays flat, and each row is seen once.

    Without `like`, centre and scale are those of the first batch that has any number in a column: where batches are
    sorted, give `like`, the profile of a few rows from everywhere.
    """

    def __init__(self, signature: Signature, like: Like = None, limits: Mapping[str, Limits] | None = None) -> None:
        self._signature = signature
        self._like = [one for one in (like if isinstance(like, Sequence) else [like]) if one is not None]
        self._limits = limits or {}
        self._columns: list[tuple[str, NumericCounts | TextCounts]] = []
        self._rows = 0

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Count a batch. Invalid when a column is missing or has another type."""
        if not self._columns:
            self._columns = [self._begun(rows, column, source) for column, source in _columns(rows, self._signature)]
        for source, counts in self._columns:
            if source not in rows.schema.names:
                raise Invalid(f"The table has no column {source!r}, which the model takes.")
            counts.add(rows[source])
        self._rows += rows.num_rows

    def finish(self) -> Profile:
        """The profile of all batches so far."""
        return Profile(rows=self._rows, columns=tuple(counts.finish() for _, counts in self._columns))

    def whole(self, table: pa.Table) -> Profile:
        """The profile of one table alone, column by column: a wide one takes no more memory than a narrow one."""
        found = []
        for column, source in _columns(table, self._signature):
            _, counts = self._begun(table, column, source)
            counts.add(table[source])
            found.append(counts.finish())
        return Profile(rows=table.num_rows, columns=tuple(found))

    def _begun(self, rows: Any, column: Column, source: str) -> tuple[str, NumericCounts | TextCounts]:
        known = [one for one in (like.column(column.name) for like in self._like) if one is not None]
        # A column that was always empty has no cells of its own to go by.
        told = [one for one in known if isinstance(one, CategoricalColumn) or one.finite]
        before = next(iter(told or known), None)
        limits = self._limits.get(column.name) or next((one.limits for one in known if one.limits), None) or Limits()
        if column.type in ("string", "boolean"):
            return source, TextCounts(column, limits, before.values if isinstance(before, CategoricalColumn) else ())
        grid = grid_of(before) if isinstance(before, NumericColumn) else None
        if column.name == LATENCY.name and source == LOGGED_LATENCY:
            return source, NumericCounts(column, limits, MILLISECONDS, unit=1000.0)
        return source, NumericCounts(column, limits, grid, guess=column is PREDICTION)


def merged(one: Profile, other: Profile, like: Profile | None = None) -> Profile:
    """The profile of both tables together (without `usual`). Invalid when columns or cells differ.

    It does not depend on the order of merging, and is exactly the profile of all rows, except for texts that were folded
    (see `CategoricalColumn`). Values that `like` lists are the last to be folded.
    """
    return _together([one, other], like)


def merged_all(profiles: Iterable[Profile], like: Profile | None = None) -> Profile | None:
    """All of them together as if merged one by one, only faster; None when there are none."""
    parts = list(profiles)
    return _together(parts, like) if len(parts) > 1 else next(iter(parts), None)


def _together(profiles: Sequence[Profile], like: Profile | None) -> Profile:
    names = [column.name for column in profiles[0].columns]
    if any([column.name for column in one.columns] != names for one in profiles):
        raise Invalid("These profiles are of different columns and cannot be merged.")
    known = {} if like is None else {column.name: column for column in like.columns}
    parts = zip(*(one.columns for one in profiles), strict=True)
    columns = tuple(_merged(part, known.get(name)) for name, part in zip(names, parts, strict=True))
    return Profile(rows=sum(one.rows for one in profiles), columns=columns)


def _columns(rows: Any, signature: Signature) -> list[tuple[Column, str]]:
    """What is profiled, and under which name the table has it."""
    there = rows.schema.names
    missing = [column.name for column in signature.inputs if column.name not in there]
    if missing:
        raise Invalid(f"The table has no column {missing[0]!r}, which the model takes.")
    names = {column.name for column in signature.inputs}
    found = [(column, column.name) for column in signature.inputs]
    if PREDICTION.name in there and PREDICTION.name not in names:
        found.append((_prediction(rows), PREDICTION.name))
    for source in (LOGGED_LATENCY, LATENCY.name):
        if source in there and not names & {source, LATENCY.name}:
            found.append((LATENCY, source))
            break
    return found


def _prediction(rows: Any) -> Column:
    import pyarrow as pa

    kind = rows.schema.field(PREDICTION.name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)
    return Column(PREDICTION.name, "string", nullable=True) if texts else PREDICTION


def _merged(columns: Sequence[ProfiledColumn], like: ProfiledColumn | None) -> ProfiledColumn:
    counts = [column for column in columns if isinstance(column, NumericColumn)]
    values = [column for column in columns if isinstance(column, CategoricalColumn)]
    if counts and values:
        raise Invalid(f"The column {counts[0].name!r} has different types in these profiles.")
    if values:
        return texts.merged(values, like.values if isinstance(like, CategoricalColumn) else ())
    return numbers.merged(counts)


def full_counts(columns: Iterable[NumericColumn]) -> NDArray[np.int64]:
    """The counts of all CELLS cells, summed over columns."""
    counts = np.zeros(CELLS, dtype=np.int64)
    for column in columns:
        cells, found = unpacked(column.cells)
        counts[cells] += found
    return counts


def _usual(table: pa.Table, columns: tuple[ProfiledColumn, ...], times: NDArray[np.int64], window: str) -> Usual:
    from loopline.usecases.monitoring.model.drift import distances_by_period

    starts, codes, rows = np.unique(period_of(times, window), return_inverse=True, return_counts=True)
    if len(starts) < 4:
        return Usual([], [], {})
    # Periods with few rows (a first or last partial one) say more about chance than about days: they are left out.
    kept = np.flatnonzero(rows >= 0.3 * np.median(rows))[-MOST_PERIODS:]
    found = {column.name: distances_by_period(table[column.name], column, codes, len(starts)) for column in columns}
    return Usual(
        [from_ms(int(start)) for start in starts[kept]],
        [int(count) for count in rows[kept]],
        {name: {key: _short(v[kept]) for key, v in law.items()} for name, law in found.items()},
    )


def _short(values: NDArray[Any]) -> list[float]:
    """Four significant digits: what is usual is not known better, and the profile stays small."""
    return [float(f"{value:.4g}") for value in values]

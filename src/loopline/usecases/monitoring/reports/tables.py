"""Two tables beside each other without a server: their columns' types, their profiles, and how far they lie apart.

Imports pyarrow and numpy: import it only where files are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from loopline.core.errors import Invalid, NotFound
from loopline.core.tables import Column, ColumnType, Signature
from loopline.usecases.monitoring.model import reporting, sketching
from loopline.usecases.monitoring.model.profile import Profile, decode

AT_ONCE = 1_000_000
OUTPUT = Column("prediction", "float", nullable=True)


def compared(
    reference: Path, current: Path, event_time: str = "", window: str = "day", columns: Sequence[str] = ()
) -> dict[str, Any]:
    """Each column that both files have, then and now, as plain data; see `model.reporting.DriftReport`.

    With `event_time` (a column of both) the reference's own days (or weeks) say what is usual. NotFound for a file that
    is not there, Invalid for one that is no table or shares no column.
    """
    before, after = types_of(reference), types_of(current)
    asked = [name for name in before if not columns or name in columns]
    shared = [name for name in asked if name in after and name != event_time]
    if not shared:
        raise Invalid(f"{reference.name} and {current.name} have no column in common.", "Compare tables of one kind.")
    if event_time and event_time not in before:
        raise Invalid(f"{reference.name} has no column {event_time!r}.", "Name its column of times, or none.")
    inputs = tuple(Column(name, _common(before[name], after[name]), nullable=True) for name in shared)
    signature = Signature(inputs=inputs, output=OUTPUT)
    then = profiled(reference, signature, None, event_time)
    found = against(then, current, signature, window)
    gone, new = [name for name in asked if name not in after], [name for name in after if name not in before]
    return {**found, "reference": reference.name, "current": current.name, "gone": gone, "new": new}


def against(then: Profile, current: Path, signature: Signature, window: str) -> dict[str, Any]:
    """The rows of a file against a profile that is already there, as a version's training profile is. Columns that the file
    lacks are `gone`; Invalid when it has none of them."""
    gone: list[str] = []
    if current.suffix != ".json":
        there = types_of(current)
        gone = [column.name for column in signature.inputs if column.name not in there]
        signature = msgspec.structs.replace(
            signature, inputs=tuple(each for each in signature.inputs if each.name in there)
        )
        if not signature.inputs:
            raise Invalid(f"{current.name} has no column of the reference.", f"It needs {', '.join(gone[:5])}.")
    now = profiled(current, signature, then, "")
    found: dict[str, Any] = msgspec.to_builtins(reporting.report(then, now, window))
    return {**found, "gone": gone}


def types_of(path: Path) -> dict[str, ColumnType]:
    """The columns of a Parquet or CSV file that can be compared, with our types."""
    found = {field.name: _type(field.type) for field in _schema(path)}
    return {name: kind for name, kind in found.items() if kind is not None}


def profiled(path: Path, signature: Signature, like: Profile | None, event_time: str) -> Profile:
    """The profile of a file, read in portions: its size does not matter. A profile that was written (by `loopline score`,
    as JSON) is taken as it is."""
    if path.suffix == ".json":
        return decode(_read(path, path.read_bytes))
    names = [*(column.name for column in signature.inputs), *([event_time] if event_time else [])]
    found: Profile | None = None
    for table in _portions(path, names):
        one = sketching.profile(table, signature, like=found or like, event_time=event_time)
        found = one if found is None else msgspec.structs.replace(sketching.merged(found, one), usual=found.usual)
    if found is None:
        raise Invalid(f"{path.name} has no row.", "Compare files with rows.")
    return found


def _portions(path: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    if path.suffix == ".csv":
        table = _read(path, lambda: pc.read_csv(path)).select(list(names))
        yield from (table.slice(start, AT_ONCE) for start in range(0, len(table), AT_ONCE))
        return
    batches = _read(path, lambda: pq.ParquetFile(path).iter_batches(131_072, columns=list(names)))
    waiting: list[Any] = []
    while (batch := _read(path, lambda: next(batches, None))) is not None:
        waiting.append(batch)
        if sum(len(one) for one in waiting) >= AT_ONCE:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _schema(path: Path) -> Any:
    if path.suffix == ".csv":
        return _read(path, lambda: pc.open_csv(path).schema)
    return _read(path, lambda: pq.read_schema(path))


def _read(path: Path, reading: Any) -> Any:
    try:
        return reading()
    except FileNotFoundError:
        raise NotFound(f"There is no file {str(path)!r}.", "Name a Parquet or CSV file.") from None
    except (pa.ArrowException, OSError) as error:
        said = str(error).splitlines()[0][:200].rstrip(".")
        raise Invalid(f"{path.name} cannot be read as a table: {said}.", "Name a Parquet or CSV file.") from None


def _type(kind: Any) -> ColumnType | None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "timestamp"
    return "string" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def _common(one: ColumnType, other: ColumnType) -> ColumnType:
    """A type that both columns can be read as: numbers with numbers, else as text."""
    if one == other:
        return one
    return "float" if {one, other} <= {"integer", "float"} else "string"

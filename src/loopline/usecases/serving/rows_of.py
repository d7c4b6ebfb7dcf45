"""Rows as people have them (dicts, frames, tables) as bodies of requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid

FEW = 200
BINARY = (bytes, bytearray, memoryview)
FORMS = "a dict, a list of dicts, or a table of pandas, Polars or Arrow"


def pieces_of(rows: Any, size: int) -> Iterator[list[Any]]:
    """The rows as dicts, `size` at a time. Invalid for anything that has no rows."""
    found = _slices(rows, size)
    for piece in found:
        if not piece:
            raise Invalid("There are no rows.", f"Give {FORMS}.")
        yield piece


def body_of(rows: list[Any]) -> bytes:
    """`{"rows": […]}`; what a table has instead of a value becomes null. Invalid names a value that cannot travel."""
    try:
        if any(isinstance(value, BINARY) for row in rows for value in row.values()):  # would go as Base64, as any text
            raise TypeError("bytes are no value of a row")
        return msgspec.json.encode({"rows": rows}, enc_hook=_plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(
            f"The rows cannot be sent: {error}.", "Values are numbers, text, true or false, times, or None."
        ) from None


def table_of(rows: Any) -> Any:
    """A table of pandas, Polars or Arrow as an Arrow table that travels as columns; None for anything else, and for few
    rows, which are quicker as JSON. Invalid for a table whose columns have no type."""
    few = not hasattr(rows, "shape") or not hasattr(rows, "columns") or rows.shape[0] < FEW
    if few:
        return None
    import pyarrow as pa

    try:
        table = _arrow(rows)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise Invalid(
            f"The table cannot be sent: {str(error).splitlines()[0][:200]}.", "Give each column one type."
        ) from None
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):  # a category of pandas or Polars
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
    return table


def stream_of(table: Any) -> bytes:
    """An Arrow IPC stream of a table."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def answers_in(stream: bytes) -> tuple[list[Any], list[str], int, int]:
    """Values, ids, version and revision in an Arrow stream of predictions."""
    import pyarrow as pa

    with pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    told = table.schema.metadata
    name, values = told[b"prediction_id"].decode(), table.column("prediction").to_pylist()
    ids = [name] if len(values) == 1 else [f"{name}-{place}" for place in range(len(values))]
    return values, ids, int(told[b"version"]), int(told[b"revision"])


def _arrow(rows: Any) -> Any:
    import pyarrow as pa

    if hasattr(rows, "to_arrow"):  # Polars
        return rows.to_arrow()
    return pa.Table.from_pandas(rows, preserve_index=False) if hasattr(rows, "iloc") else rows


def _slices(rows: Any, size: int) -> Iterator[list[Any]]:
    if isinstance(rows, Mapping):
        yield [dict(rows)]
    elif hasattr(rows, "to_pylist"):  # Arrow
        yield from (rows.slice(start, size).to_pylist() for start in _starts(rows.num_rows, size))
    elif hasattr(rows, "to_dicts"):  # Polars
        yield from (rows.slice(start, size).to_dicts() for start in _starts(len(rows), size))
    elif hasattr(rows, "iloc") and hasattr(rows, "columns"):  # pandas
        yield from (rows.iloc[start : start + size].to_dict("records") for start in _starts(len(rows), size))
    elif isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
        listed = list(rows)
        if not all(isinstance(each, Mapping) for each in listed):
            raise Invalid("A row is not a dict.", f"Give {FORMS}.")
        yield from (listed[start : start + size] for start in _starts(len(listed), size))
    else:
        raise Invalid(f"{type(rows).__name__!r} has no rows.", f"Give {FORMS}.")


def _starts(count: int, size: int) -> range:
    return range(0, count or 1, size)


def _plain(value: Any) -> Any:
    """Scalars of numpy and pandas as Python's own; what is not there (NaN, NaT, NA) as None."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    if hasattr(value, "item") and not getattr(value, "shape", ()):
        return value.item()
    raise TypeError(f"{type(value).__name__!r} is no value of a row")

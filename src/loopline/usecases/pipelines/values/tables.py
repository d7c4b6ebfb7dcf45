"""Frames as Arrow, in one normal form."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def frame_kind(value: Any) -> str:
    """pyarrow, pandas or polars for a table or frame, empty for anything else; imports nothing."""
    cls = type(value)
    root = cls.__module__.partition(".")[0]
    known = {("pyarrow", "Table"), ("pyarrow", "RecordBatch"), ("pandas", "DataFrame"), ("polars", "DataFrame")}
    return root if (root, cls.__name__) in known else ""


def annotated_kind(annotation: Any) -> str:
    """The same for an annotation, also as text ("pd.DataFrame" counts by the usual short names)."""
    if isinstance(annotation, str):
        root, _, name = annotation.rpartition(".")
        roots = {"pd": "pandas", "pl": "polars", "pa": "pyarrow"}
        return roots.get(root, root) if name in ("DataFrame", "Table") else ""
    if not isinstance(annotation, type):
        return ""
    root = annotation.__module__.partition(".")[0]
    known = {("pyarrow", "Table"), ("pandas", "DataFrame"), ("polars", "DataFrame")}
    return root if (root, annotation.__name__) in known else ""


def as_arrow(value: Any) -> pa.Table | None:
    """The frame as an Arrow table without a change of values; None for what is no frame."""
    import pyarrow as pa

    kind = frame_kind(value)
    if kind == "pyarrow":
        return value if isinstance(value, pa.Table) else pa.Table.from_batches([value])
    if kind == "pandas":
        return pa.Table.from_pandas(value)
    if kind == "polars":
        import polars as pl

        return value.to_arrow(compat_level=pl.CompatLevel.oldest())
    return None


def settled(table: pa.Table) -> pa.Table:
    """The same table in one chunk, from offset 0, with zeros under its nulls: equal tables have equal bytes."""
    import pyarrow as pa

    columns = [settled_column(table.column(position)) for position in range(table.num_columns)]
    return pa.Table.from_arrays(columns, schema=table.schema)


def settled_column(column: Any) -> Any:
    """One column in normal form."""
    import pyarrow as pa

    kind = column.type
    simple = not (pa.types.is_nested(kind) or pa.types.is_dictionary(kind) or is_view(kind))
    if simple and column.null_count == 0 and column.num_chunks == 1 and column.chunk(0).offset == 0:
        return column.chunk(0)
    if simple and column.null_count == 0:
        return combined(column)
    if pa.types.is_dictionary(kind):  # chunks may number the same words differently
        column = column.unify_dictionaries()
    return combined(column).take(every_row(len(column)))  # take writes nulls as zeros


@functools.lru_cache(maxsize=4)
def every_row(rows: int) -> Any:
    """The numbers of all rows."""
    import numpy as np
    import pyarrow as pa

    return pa.array(np.arange(rows, dtype=np.int64))


def combined(column: Any) -> Any:
    """All chunks as one array."""
    import pyarrow as pa

    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def is_view(kind: Any) -> bool:
    """Whether a type keeps its values by view, whose buffers may hold more than is seen."""
    import pyarrow as pa

    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def write(table: pa.Table, path: Path) -> None:
    """Write a settled table as an Arrow file."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def encoded(table: pa.Table) -> bytes:
    """A settled table as the bytes of an Arrow file."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read(source: Path | bytes) -> pa.Table:
    """The table of an Arrow file, mapped into memory where it is a file."""
    import pyarrow as pa

    file = pa.memory_map(str(source)) if isinstance(source, Path) else pa.BufferReader(source)
    return pa.ipc.open_file(file).read_all()


def as_kind(table: pa.Table, kind: str) -> Any:
    """The table as a pyarrow, pandas or polars frame."""
    if kind == "pandas":
        return table.to_pandas()
    if kind == "polars":
        import polars as pl

        return pl.from_arrow(table)
    return table

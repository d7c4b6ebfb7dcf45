"""Frames, columns and pandas scalars as Arrow tables, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid
from loopline.usecases.pipelines.values.kinds import frame_kind

if TYPE_CHECKING:
    import pyarrow as pa

UNNAMED = "pandas.Series, unnamed"
_KEPT_AS_OBJECTS = ("is_integer", "is_floating", "is_timestamp", "is_duration", "is_string", "is_large_string")


def as_arrow(value: Any) -> pa.Table | None:
    """The frame, column or scalar as an Arrow table; None for what is none. Invalid for content that would come back
    different, naming the column."""
    make = _MAKERS.get(frame_kind(value))
    if make is None:
        return None
    import pyarrow as pa

    try:
        table: pa.Table = make(value)
    except Invalid:
        raise
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(part) for part in error.args if part) or type(error).__name__
        raise Invalid(
            f"A {type(value).__name__} cannot be kept as it is: {reason[:300].rstrip('. ')}.",
            "Give each column one plain type and a name of its own.",
        ) from None
    return table


def as_kind(table: pa.Table, kind: str) -> Any:
    """The table as a frame, column or scalar of that kind."""
    return _READERS[kind](table) if kind in _READERS else table


def stored_kind(value: Any) -> str:
    """The kind with which `as_kind` gives the value back."""
    kind = frame_kind(value)
    return UNNAMED if kind == "pandas.Series" and value.name is None else kind


def _of_pandas(frame: Any) -> pa.Table:
    import pyarrow as pa

    if len({type(name) for name in frame.columns}) > 1:
        raise Invalid("The frame's column names are of several types.", "Make them texts.")
    table = pa.Table.from_pandas(frame)
    _check_types(frame, table)
    return table


def _check_types(frame: Any, table: pa.Table) -> None:
    """Refuse columns of Python objects that no Arrow type gives back."""
    import pyarrow as pa

    for position in (n for n, dtype in enumerate(frame.dtypes) if dtype.name == "object"):
        kind = table.schema.field(position).type
        if pa.types.is_struct(kind) or pa.types.is_map(kind):
            raise Invalid(
                f"The column {str(frame.columns[position])!r} holds dicts, which would not come back as they are.",
                "Make each of their fields a column.",
            )


def to_pandas(table: pa.Table) -> Any:
    """The table as a pandas frame; columns of Python objects get their objects back."""
    frame = table.to_pandas()
    for position, were_objects in enumerate(object_columns(table)):
        if were_objects and frame.dtypes.iloc[position].name != "object":
            frame.isetitem(position, _objects(table.column(position), frame.index))
    return frame


def object_columns(table: pa.Table) -> list[bool]:
    """Which of the first columns were Python objects in pandas and are of a type that comes back as another."""
    import pyarrow as pa

    notes = table.schema.pandas_metadata or {}
    kinds = [field.type for field in table.schema]
    return [
        note.get("numpy_type") == "object" and any(getattr(pa.types, name)(kind) for name in _KEPT_AS_OBJECTS)
        for note, kind in zip(notes.get("columns", ()), kinds, strict=False)
    ]


def _objects(column: Any, index: Any) -> Any:
    import pandas as pd

    return pd.Series(column.to_pylist(), index=index, dtype=object)


def _of_polars(frame: Any) -> pa.Table:
    import polars as pl

    for name, dtype in frame.schema.items():
        if dtype.base_type() is pl.Object:
            raise Invalid(f"The column {name!r} holds Python objects.", "Give it a type that Polars knows.")
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _of_column(column: Any) -> pa.Table:
    import pyarrow as pa

    return pa.table({"": column})


def _of_series(series: Any) -> pa.Table:
    return _of_pandas(series.to_frame("") if series.name is None else series.to_frame())


def _series(table: pa.Table) -> Any:
    return to_pandas(table).iloc[:, 0]


def _of_scalar(value: Any) -> pa.Table:
    import pandas as pd

    return _of_pandas(pd.Series([value]).to_frame(""))


def _of_batch(batch: Any) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches([batch])


def _batch(table: pa.Table) -> Any:
    import pyarrow as pa

    whole = table.combine_chunks().to_batches()
    return whole[0] if whole else pa.RecordBatch.from_pylist([], schema=table.schema)


def _polars(table: pa.Table) -> Any:
    import polars as pl

    return pl.from_arrow(table, rechunk=False)


def _array(table: pa.Table) -> Any:
    import pyarrow as pa

    chunks = table.column(0).chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "pyarrow": lambda table: table,
    "pyarrow.RecordBatch": _of_batch,
    "pyarrow.Array": _of_column,
    "pyarrow.ChunkedArray": _of_column,
    "pandas": _of_pandas,
    "pandas.Series": _of_series,
    "pandas.scalar": _of_scalar,
    "polars": _of_polars,
    "polars.LazyFrame": lambda frame: _of_polars(frame.collect()),
    "polars.Series": lambda series: _of_polars(series.to_frame()),
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "pyarrow.RecordBatch": _batch,
    "pyarrow.Array": _array,
    "pyarrow.ChunkedArray": lambda table: table.column(0),
    "pandas": to_pandas,
    "pandas.Series": _series,
    UNNAMED: lambda table: _series(table).rename(None),
    "pandas.scalar": lambda table: _series(table).iloc[0],
    "polars": _polars,
    "polars.LazyFrame": lambda table: _polars(table).lazy(),
    "polars.Series": lambda table: _polars(table).to_series(),
}

"""Reading the logs back as Arrow tables, from open segments and sealed files alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid
from loopline.core.ids import checked_name
from loopline.core.times import to_ms
from loopline.usecases.serving.records.columns import as_numpy
from loopline.usecases.serving.records.ids import id_column
from loopline.usecases.serving.records.segments import Header, names, read
from loopline.usecases.serving.records.writing import NO_TIME, PREDICTIONS, TRUTH

if TYPE_CHECKING:
    import pyarrow as pa

TRIES = 20
SEGMENTS_KEY = b"loopline.segments"


def read_predictions(home: Path, endpoint: str, since: str | None, until: str | None, by: str) -> pa.Table:
    """See `Serving.read_predictions`."""
    if by not in ("at", "event_time"):
        raise Invalid(f"Predictions cannot be selected by {by!r}.", "Use at or event_time.")
    checked_name("endpoint", endpoint)
    condition = _condition(by, since, until)
    tables = _tables(home / PREDICTIONS / endpoint, prediction_table, condition)
    if not tables:
        return prediction_schema().empty_table()
    return _unified(tables).sort_by([("at", "ascending"), ("id", "ascending")])


def read_truth(home: Path, endpoint: str) -> pa.Table:
    """See `Serving.read_truth`."""
    import pyarrow as pa

    checked_name("endpoint", endpoint)
    tables = _tables(home / TRUTH / endpoint, truth_table, None)
    return pa.concat_tables(tables).sort_by("seq") if tables else truth_schema().empty_table()


def prediction_schema() -> pa.Schema:
    """The columns that every prediction has (an endpoint's inputs come before `prediction`)."""
    import pyarrow as pa

    moment = pa.timestamp("ms", tz="UTC")
    return pa.schema(
        [
            ("id", pa.string()), ("endpoint", pa.string()), ("revision", pa.int32()), ("model", pa.string()),
            ("version", pa.int32()), ("at", moment), ("event_time", moment), ("key", pa.string()),
            ("prediction", pa.float64()), ("latency_us", pa.int32()),
        ]
    )  # fmt: skip


def truth_schema() -> pa.Schema:
    """The columns of ground truth."""
    import pyarrow as pa

    moment = pa.timestamp("ms", tz="UTC")
    return pa.schema(
        [
            ("prediction_id", pa.string()), ("key", pa.string()), ("event_time", moment), ("value", pa.float64()),
            ("observed_at", moment), ("received_at", moment), ("seq", pa.int64()),
        ]
    )  # fmt: skip


def prediction_table(header: Header, found: list[list[Any]]) -> pa.Table:
    """The predictions in a segment's blocks."""
    import pyarrow as pa

    return pa.concat_tables([_prediction_block(header, block) for block in found])


def truth_table(header: Header, found: list[list[Any]]) -> pa.Table:
    """The ground truth in a segment's blocks."""
    import pyarrow as pa

    return pa.concat_tables([_truth_block(block) for block in found])


def segments_within(path: Path) -> set[str]:
    """The segments that a sealed file was made of."""
    import pyarrow.parquet as pq

    return set((pq.read_schema(path).metadata or {}).get(SEGMENTS_KEY, b"").decode().split())


def _prediction_block(header: Header, block: list[Any]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    rows, ms_bytes, counter, row, latency, event, key, prediction, columns = block
    ms = np.frombuffer(ms_bytes, np.int64)
    moment = pa.timestamp("ms", tz="UTC")
    values: dict[str, Any] = {
        "id": id_column(ms, header.writer, np.frombuffer(counter, np.int64), np.frombuffer(row, np.int32)),
        "endpoint": pa.repeat(pa.scalar(header.endpoint), rows),
        "revision": pa.repeat(pa.scalar(header.revision, pa.int32()), rows),
        "model": pa.repeat(pa.scalar(header.model), rows),
        "version": pa.repeat(pa.scalar(header.version, pa.int32()), rows),
        "at": pa.array(ms).cast(moment),
        "event_time": _moments(event, rows),
        "key": pa.array(key, pa.string()) if key is not None else pa.nulls(rows, pa.string()),
    }
    for inputs, packed in zip(header.inputs, columns, strict=True):
        values[inputs.name] = _column(inputs.type, inputs.kind, packed)
    values["prediction"] = _column("string" if header.output == "s" else "float", header.output, prediction)
    values["latency_us"] = pa.array(np.frombuffer(latency, np.int32))
    return pa.table(values)


def _truth_block(block: list[Any]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    rows, first, received, ids, keys, events, values, observed = block
    moment = pa.timestamp("ms", tz="UTC")
    arrays = [
        pa.array(ids, pa.string()),
        pa.array(keys, pa.string()),
        pa.array(events, pa.int64()).cast(moment),
        pa.array(np.frombuffer(values, np.float64)),
        pa.array(np.frombuffer(observed, np.int64)).cast(moment),
        pa.repeat(pa.scalar(received, pa.int64()), rows).cast(moment),
        pa.array(np.arange(first, first + rows, dtype=np.int64)),
    ]
    return pa.table(arrays, schema=truth_schema())


def _column(type_name: str, kind: str, packed: Any) -> pa.Array:
    """An input as Arrow; NaN that stands for null becomes null, except in a float column of ours where both do."""
    import pyarrow as pa

    if kind == "s":
        texts = pa.array(packed, pa.string())
        return texts.cast(pa.timestamp("ms", tz="UTC")) if type_name == "timestamp" else texts
    values = as_numpy(kind, packed)
    if kind != "d":
        return pa.array(values)
    found = pa.array(values, from_pandas=True)
    if type_name == "float":
        return found
    return found.cast(pa.int64() if type_name == "integer" else pa.bool_(), safe=False)


def _moments(event: bytes | None, rows: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    moment = pa.timestamp("ms", tz="UTC")
    if event is None:
        return pa.nulls(rows, moment)
    values = np.frombuffer(event, np.int64)
    return pa.array(values, mask=values == NO_TIME).cast(moment)


def _condition(by: str, since: str | None, until: str | None) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    moment, condition = pa.timestamp("ms", tz="UTC"), None
    if since is not None:
        condition = pc.field(by) >= pa.scalar(to_ms(since), moment)
    if until is not None:
        before = pc.field(by) < pa.scalar(to_ms(until), moment)
        condition = before if condition is None else condition & before
    return condition


def _tables(folder: Path, decoded: Any, condition: Any) -> list[pa.Table]:
    """Everything in a folder once. Sealing removes segments meanwhile: then the folder is read again."""
    for _ in range(TRIES):
        try:
            return _tables_now(folder, decoded, condition)
        except FileNotFoundError:
            continue
    raise Invalid(f"The log in {folder.name} keeps changing.", "Try again.")


def _tables_now(folder: Path, decoded: Any, condition: Any) -> list[pa.Table]:
    import pyarrow.parquet as pq

    segments = names(folder)
    sealed = names(folder, ".parquet")
    within: set[str] = set().union(*(segments_within(folder / name) for name in sealed)) if segments else set()
    tables = [pq.read_table(folder / name, filters=condition).replace_schema_metadata() for name in sealed]
    for name in segments:
        found = None if name in within else read(folder / name)
        if found is not None and found[1]:
            table = decoded(*found)
            tables.append(table if condition is None else table.filter(condition))
    return [table for table in tables if table.num_rows]


def _unified(tables: list[pa.Table]) -> pa.Table:
    """One table of revisions with different inputs; an input that changed its type is shown as text."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {}
    mixed: set[str] = set()
    for field in (field for table in tables for field in table.schema):
        known = types.setdefault(field.name, field.type)
        if known != field.type:
            numbers = pa.types.is_integer(known) or pa.types.is_floating(known)
            if numbers and (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
                types[field.name] = pa.float64()
            else:
                mixed.add(field.name)
    types |= dict.fromkeys(mixed, pa.string())
    schema = pa.schema([(name, type_) for name, type_ in types.items()])
    return pa.concat_tables([_as(table, schema) for table in tables])


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = [
        table[field.name].cast(field.type, safe=False)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)

"""Records as Arrow tables: what columns they have, and how a segment's blocks become them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.usecases.serving.model import LATER, column_name
from loopline.usecases.serving.records.columns import as_numpy
from loopline.usecases.serving.records.ids import id_column
from loopline.usecases.serving.records.layout import FORMAT
from loopline.usecases.serving.records.segments import Header
from loopline.usecases.serving.records.writing import NO_TIME

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ALWAYS = 9  # values of a block in the first form of the log
EXPLANATION, BASE = "explanation", "explanation_base"


def prediction_schema() -> pa.Schema:
    """The columns that every prediction has (an endpoint's inputs come before `prediction`)."""
    import pyarrow as pa

    moment = pa.timestamp("ms", tz="UTC")
    return pa.schema(
        [
            ("id", pa.string()), ("endpoint", pa.string()), ("revision", pa.int32()), ("model", pa.string()),
            ("version", pa.int32()), ("arm", pa.string()), ("caller", pa.string()), ("rules", pa.string()),
            ("sample", pa.float64()), ("at", moment), ("event_time", moment), ("key", pa.string()),
            ("prediction", pa.float64()), ("latency_us", pa.int32()),
        ]
    )  # fmt: skip


def truth_schema() -> pa.Schema:
    """The columns of ground truth: a number is its `value`, a text its `label`, and the other of both is null."""
    import pyarrow as pa

    moment = pa.timestamp("ms", tz="UTC")
    return pa.schema(
        [
            ("prediction_id", pa.string()), ("key", pa.string()), ("event_time", moment), ("value", pa.float64()),
            ("observed_at", moment), ("received_at", moment), ("seq", pa.int64()), ("label", pa.string()),
        ]
    )  # fmt: skip


def prediction_table(header: Header, found: list[list[Any]]) -> pa.Table:
    """The predictions in a segment's blocks."""
    import pyarrow as pa

    explained = any(len(block) > ALWAYS and block[11] is not None for block in found)
    return pa.concat_tables([_prediction_block(header, block, explained) for block in found])


def truth_table(header: Header, found: list[list[Any]]) -> pa.Table:
    """The ground truth in a segment's blocks."""
    import pyarrow as pa

    return pa.concat_tables([_truth_block(block) for block in found])


def completed_truth(table: pa.Table) -> pa.Table:
    """A table of truth of any age with the columns of today."""
    import pyarrow as pa

    if "label" in table.column_names:
        return table
    return table.append_column("label", pa.nulls(table.num_rows, pa.string()))


def completed(table: pa.Table, endpoint: str) -> pa.Table:
    """A table of any age with the columns of today: an older one has the arm "live" and no caller or rules, and its
    inputs that bear the name of a later column are renamed."""
    import pyarrow as pa

    if FORMAT not in (table.schema.metadata or {}):
        table = table.rename_columns([column_name(name) if name in LATER else name for name in table.column_names])
    given = {"endpoint": endpoint, "arm": "live", "sample": 1.0}
    rows, columns = table.num_rows, dict(zip(table.column_names, table.columns, strict=True))
    ordered: dict[str, Any] = {}
    for field in prediction_schema():
        if field.name == "prediction":
            ordered |= {name: column for name, column in columns.items() if name not in ordered}
        elif field.name in columns:
            ordered[field.name] = columns[field.name]
        else:
            ordered[field.name] = pa.repeat(pa.scalar(given.get(field.name), field.type), rows)
    last = {name: ordered.pop(name) for name in ("prediction", "latency_us", EXPLANATION, BASE) if name in ordered}
    return pa.table(ordered | last)


def _prediction_block(header: Header, block: list[Any], explained: bool) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    rows, ms_bytes, counter, row, latency, event, key, prediction, columns = block[:ALWAYS]
    arm, caller, explanation = block[ALWAYS:] if len(block) > ALWAYS else ("live", None, None)
    ms = np.frombuffer(ms_bytes, np.int64)
    moment = pa.timestamp("ms", tz="UTC")
    values: dict[str, Any] = {
        "id": id_column(ms, header.writer, np.frombuffer(counter, np.int64), np.frombuffer(row, np.int32)),
        "endpoint": pa.repeat(pa.scalar(header.endpoint), rows),
        "revision": pa.repeat(pa.scalar(header.revision, pa.int32()), rows),
        "model": pa.repeat(pa.scalar(header.model), rows),
        "version": pa.repeat(pa.scalar(header.version, pa.int32()), rows),
        "arm": _texts(arm, rows),
        "caller": _texts(caller, rows),
        "rules": pa.repeat(pa.scalar(header.rules, pa.string()), rows),
        "sample": pa.repeat(pa.scalar(header.sample, pa.float64()), rows),
        "at": pa.array(ms).cast(moment),
        "event_time": _moments(event, rows),
        "key": pa.array(key, pa.string()) if key is not None else pa.nulls(rows, pa.string()),
    }
    for inputs, packed in zip(header.inputs, columns, strict=True):
        values[column_name(inputs.name)] = _column(inputs.type, inputs.kind, packed)
    values["prediction"] = _column("string" if header.output == "s" else "float", header.output, prediction)
    values["latency_us"] = pa.array(np.frombuffer(latency, np.int32))
    if explained:
        values |= _explained(header, rows, explanation)
    return pa.table(values)


def _texts(given: Any, rows: int) -> pa.Array:
    """One text for all rows or one each; an empty one is null."""
    import pyarrow as pa

    if isinstance(given, list):
        return pa.array([text or None for text in given], pa.string())
    return pa.repeat(pa.scalar(given or None, pa.string()), rows)


def _explained(header: Header, rows: int, explanation: Any) -> dict[str, Any]:
    """Base value and contributions by input; null where a row was not explained."""
    import numpy as np
    import pyarrow as pa

    names = [inputs.name.removeprefix("input.") for inputs in header.inputs]
    if explanation is None:
        base = np.full(rows, np.nan)
        matrix = np.zeros((rows, len(names)))
    else:
        base = np.frombuffer(explanation[0], np.float64)
        matrix = np.stack([np.frombuffer(part, np.float64) for part in explanation[1]], axis=1)
    return {EXPLANATION: contributions(names, matrix, base), BASE: pa.array(base, from_pandas=True)}


def contributions(names: list[str], matrix: np.ndarray[Any, Any], base: np.ndarray[Any, Any]) -> pa.Array:
    """A map of input to contribution for each row; null where the base value is NaN."""
    import numpy as np
    import pyarrow as pa

    rows, width = matrix.shape
    keys = pa.array(names * rows, pa.string())
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    kept = pa.MapArray.from_arrays(offsets, keys, pa.array(matrix.ravel()))
    missing = np.isnan(base)
    return kept if not missing.any() else kept.take(pa.array(np.arange(rows), mask=missing))


def _truth_block(block: list[Any]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    rows, first, received, ids, keys, events, values, observed, *last = block
    labels = pa.array(last[0] if last else [None] * rows, pa.string())
    moment = pa.timestamp("ms", tz="UTC")
    arrays = [
        pa.array(ids, pa.string()),
        pa.array(keys, pa.string()),
        pa.array(events, pa.int64()).cast(moment),
        pa.array(np.frombuffer(values, np.float64), mask=np.asarray(labels.is_valid())),
        pa.array(np.frombuffer(observed, np.int64)).cast(moment),
        pa.repeat(pa.scalar(received, pa.int64()), rows).cast(moment),
        pa.array(np.arange(first, first + rows, dtype=np.int64)),
        labels,
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

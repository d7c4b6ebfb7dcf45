"""Scoring a file in batch: the same signature, ids and log as live, in chunks, so that memory stays flat."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid, NotFound, Refused, Unavailable
from loopline.core.tables import Signature
from loopline.kit.durable import sync_folder
from loopline.usecases.serving.checks import checked_columns, event_column, key_column
from loopline.usecases.serving.needs import Versions
from loopline.usecases.serving.records.columns import as_numpy, kind_of
from loopline.usecases.serving.records.ids import Ids, id_column
from loopline.usecases.serving.records.writing import Batch, PredictionLog, prediction_header

if TYPE_CHECKING:
    import pyarrow as pa

ID, PREDICTION, LATENCY = "prediction_id", "prediction", "latency_us"


def score(
    registry: Versions,
    home: Path,
    reference: str,
    source: Path,
    target: Path,
    key: str | None = None,
    event_time: str | None = None,
    chunk_rows: int = 65536,
) -> dict[str, Any]:
    """Score `source` into `target` (Parquet: its columns, prediction_id and prediction); answers a summary.

    Beside it a profile of inputs, predictions and latency is left (`OUTPUT.profile.json`), comparable with the version's
    training profile. `target` appears whole or not at all. Records are logged at the endpoint `batch.<model>`, revision 0. Raises
    Invalid naming field and row for what the signature does not allow, before anything of that chunk is written.
    """
    version = registry.find(reference)
    if not version.servable:
        raise Refused(f"{reference} is stored as {version.format!r} and is never loaded.", "Save it in a safe format.")
    if target.suffix != ".parquet":
        raise Invalid(
            f"{target.name!r} is no name for the output.", "It is written as Parquet: name it OUTPUT.parquet."
        )
    model = registry.load(version.model, version.version, engine="many")
    ids, start, rows, first = Ids(), time.monotonic(), 0, None
    header = prediction_header(
        f"batch.{version.model}", ids.writer, 0, version.model, version.version, version.signature
    )
    log, profiler = PredictionLog(home, header), registry.profiler(version.model, version.version)
    try:
        with _writer(target) as write:
            for table in chunks(source, version.signature, chunk_rows):
                packed = checked_columns(table, version.signature, rows)
                more = (key_column(table, key), event_column(table, event_time, rows))
                made, log_batch = _scored(model, version.signature, table, packed, ids, more)
                first = first or made[ID][0].as_py()
                log.write([log_batch])
                write(made)
                profiler.add(_seen(made, version.signature, log_batch))
                rows += table.num_rows
    finally:
        log.close()
    beside = target.with_suffix(".profile.json")
    _left(beside, profiler.finish())
    spent = time.monotonic() - start
    return {
        "rows": rows, "model": version.model, "version": version.version, "output": str(target), "first_id": first,
        "seconds": round(spent, 3), "profile": str(beside),
    }  # fmt: skip


def _seen(made: pa.Table, signature: Signature, batch: Batch) -> pa.Table:
    """What is profiled of scored rows."""
    import numpy as np
    import pyarrow as pa

    names = [column.name for column in signature.inputs if column.name != PREDICTION]
    table = made.select([*names, PREDICTION])
    if LATENCY in names:
        return table
    return table.append_column(LATENCY, pa.array(np.frombuffer(batch.latency, dtype=np.int32)))


def _left(target: Path, content: bytes) -> None:
    hidden = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        hidden.write_bytes(content)
        os.replace(hidden, target)
    except OSError as error:
        raise Unavailable(f"{target} cannot be written ({error.strerror}).", "Free disk or choose another.") from None
    finally:
        hidden.unlink(missing_ok=True)


def chunks(source: Path, signature: Signature, chunk_rows: int) -> Iterator[pa.Table]:
    """The rows of a Parquet or CSV file, `chunk_rows` at a time. NotFound, or Invalid for a file that is neither."""
    import pyarrow as pa

    if not source.is_file():
        raise NotFound(f"There is no file {source}.", "Name a Parquet or CSV file.")
    read = {".parquet": _parquet, ".csv": _csv}.get(source.suffix.lower())
    if read is None:
        raise Invalid(f"{source.name} is neither Parquet nor CSV.", "Name a file ending in .parquet or .csv.")
    try:
        for batch in read(source, signature, chunk_rows):
            for start in range(0, batch.num_rows, chunk_rows):
                yield pa.Table.from_batches([batch.slice(start, chunk_rows)])
    except pa.ArrowException as error:
        raise Invalid(f"{source.name} cannot be read: {str(error)[:300]}.", "Check the file.") from None


def _parquet(source: Path, signature: Signature, chunk_rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        yield from file.iter_batches(batch_size=chunk_rows)


def _csv(source: Path, signature: Signature, chunk_rows: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    types = {"float": pa.float64(), "integer": pa.int64(), "string": pa.string(), "boolean": pa.bool_()}
    known = {column.name: types[column.type] for column in signature.inputs if column.type in types}
    options = csv.ConvertOptions(column_types=known, strings_can_be_null=True)
    with csv.open_csv(source, convert_options=options) as reader:
        yield from reader


def _scored(
    model: Any, signature: Signature, table: pa.Table, packed: list[Any], ids: Ids, more: tuple[Any, Any]
) -> tuple[pa.Table, Batch]:
    """The output rows and the log's batch of one chunk."""
    import numpy as np
    import pyarrow as pa

    rows, start = table.num_rows, time.perf_counter_ns()
    columns = {
        column.name: as_numpy(kind_of(column), part) for column, part in zip(signature.inputs, packed, strict=True)
    }
    try:
        found = model.predict(columns)
    except Exception as error:  # whatever a model raises belongs to its rows
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        raise Invalid(f"The model could not score the rows: {reason}", "Compare them with its training rows.") from None
    spent = (time.perf_counter_ns() - start) // 1000 // rows
    text = signature.output.type in ("string", "timestamp")
    values: Any = list(map(str, found)) if text else np.ascontiguousarray(found, dtype=np.float64).ravel()
    ids.next(rows > 1)
    ms, counter = np.full(rows, ids.ms, np.int64), np.full(rows, ids.counter, np.int64)
    numbers = np.arange(rows, dtype=np.int32) if rows > 1 else np.array([-1], np.int32)
    names = id_column(ms, ids.writer, counter, numbers)
    kept = table.drop_columns([name for name in (ID, PREDICTION) if name in table.column_names])
    made = kept.append_column(ID, names).append_column(PREDICTION, pa.array(values))
    key, event = more
    latency = array("i", [min(spent, 0x7FFFFFFF)]) * rows
    prediction = values if text else values.tobytes()
    batch = Batch(
        rows, ms.tobytes(), counter.tobytes(), numbers.tobytes(), latency.tobytes(), event, key, prediction, packed
    )
    return made, batch


@contextmanager
def _writer(target: Path) -> Iterator[Any]:
    """A function that appends tables to `target`, which is there only once all went well."""
    import pyarrow.parquet as pq

    hidden = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    opened: list[Any] = []

    def write(table: pa.Table) -> None:
        if not opened:
            opened.append(pq.ParquetWriter(hidden, table.schema, compression="zstd"))
        opened[0].write_table(table)

    try:
        yield write
        if not opened:
            raise Invalid("The input has no rows.", "There is nothing to score.")
        opened.pop().close()
        with open(hidden, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(hidden, target)
        sync_folder(target.parent)
    except OSError as error:
        raise Unavailable(f"{target} cannot be written ({error.strerror}).", "Free disk or choose another.") from None
    finally:
        for writer in opened:
            writer.close()
        hidden.unlink(missing_ok=True)

"""Finding one prediction by its id: the time within the id says where to look."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import NotFound
from loopline.usecases.serving.records import ids, layout
from loopline.usecases.serving.records.reading import steadily
from loopline.usecases.serving.records.segments import names, read
from loopline.usecases.serving.records.summaries import plain
from loopline.usecases.serving.records.tables import completed, prediction_table
from loopline.usecases.serving.records.writing import PREDICTIONS

if TYPE_CHECKING:
    import pyarrow as pa


def find(home: Path, prediction_id: str) -> dict[str, Any]:
    """The record of a prediction, times as ISO text. Raises Invalid for a text that is no id, else NotFound."""
    name = ids.canonical(prediction_id)
    ms, writer, _, _ = ids.parsed(name)
    for endpoint in names(home / PREDICTIONS, ""):
        found = steadily(endpoint, partial(_found, home, endpoint, ms, writer, name))
        if found is not None:
            return {key: plain(key, value) for key, value in found.items()}
    raise NotFound(
        f"There is no logged prediction {name}.", "Records are on disk 100 ms after the answer; is this the right home?"
    )


def _found(home: Path, endpoint: str, ms: int, writer: int, name: str) -> dict[str, Any] | None:
    """Segments first: what is sealed meanwhile is in a file by then."""
    for table in _candidates(home, endpoint, ms, writer, name):
        if table.num_rows:
            record: dict[str, Any] = completed(table, endpoint).slice(0, 1).to_pylist()[0]
            return record
    return None


def _candidates(home: Path, endpoint: str, ms: int, writer: int, name: str) -> Iterator[pa.Table]:
    import pyarrow.compute as pc

    fresh, day = home / PREDICTIONS / endpoint, layout.archive(home, endpoint) / f"day={layout.day_of(ms)}"
    segments = [file for file in names(fresh) if _may_hold(file, ms, writer)]
    for folder in (day, fresh):
        for file in layout.listing(folder):
            first, last = layout.span(file)
            if first <= ms <= last:
                yield _row(folder / file, name)
    for file in segments:
        segment = read(fresh / file)
        blocks = [block for block in segment[1] if ms.to_bytes(8, "little") in block[1]] if segment else []
        if segment and blocks:
            table = prediction_table(segment[0], blocks).replace_schema_metadata(layout.described())
            yield table.filter(pc.field("id") == name)


def _may_hold(file: str, ms: int, writer: int) -> bool:
    first, by = file.split("-")[:2]
    return int(first) <= ms and int(by, 16) == writer


def _row(path: Path, name: str) -> pa.Table:
    """The row of that id; row groups say which ids they can hold."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    opened = ds.dataset(path, format="parquet", partitioning=None)
    return opened.to_table(filter=pc.field("id") == name).replace_schema_metadata(opened.schema.metadata)

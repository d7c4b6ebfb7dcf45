"""Finding one prediction by its id: the time within the id says where to look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import NotFound
from loopline.usecases.serving.records import ids
from loopline.usecases.serving.records.reading import prediction_table
from loopline.usecases.serving.records.segments import names, read
from loopline.usecases.serving.records.summaries import shown
from loopline.usecases.serving.records.writing import PREDICTIONS

if TYPE_CHECKING:
    import pyarrow as pa


def find(home: Path, prediction_id: str) -> dict[str, Any]:
    """The record of a prediction, times as ISO text. Raises Invalid for a text that is no id, else NotFound."""
    name = ids.canonical(prediction_id)
    ms, writer, _, _ = ids.parsed(name)
    root = home / PREDICTIONS
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        for table in _candidates(folder, ms, writer, name):
            found = _row(table, name)
            if found is not None:
                return found
    raise NotFound(
        f"There is no logged prediction {name}.", "Records are on disk 100 ms after the answer; is this the right home?"
    )


def _candidates(folder: Path, ms: int, writer: int, name: str) -> list[pa.Table]:
    import pyarrow.parquet as pq

    found = []
    for file in names(folder):
        first, by = file.split("-")[:2]
        if int(first) <= ms and int(by, 16) == writer:
            segment = read(folder / file) if (folder / file).exists() else None
            blocks = [block for block in segment[1] if _within(block, ms)] if segment else []
            if segment and blocks:
                found.append(prediction_table(segment[0], blocks))
    for file in names(folder, ".parquet"):
        first, last = file.split("-")[:2]
        if int(first) <= ms <= int(last):
            found.append(pq.read_table(folder / file, filters=[("id", "=", name)]))
    return found


def _within(block: list[Any], ms: int) -> bool:
    return ms.to_bytes(8, "little") in block[1]


def _row(table: pa.Table, name: str) -> dict[str, Any] | None:
    import pyarrow.compute as pc

    rows = table.filter(pc.field("id") == name)
    if rows.num_rows == 0:
        return None
    record: dict[str, Any] = rows.slice(0, 1).to_pylist()[0]
    return {key: shown(value) for key, value in record.items()}

"""Compaction: the small files of an endpoint's day become one, in one step for everybody who lists the day.

The new file names those that it replaces, so that the log is whole wherever this is broken off (see sealing).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.usecases.serving.records import archiving, layout
from loopline.usecases.serving.records.archiving import ROW_GROUP, UNFINISHED
from loopline.usecases.serving.records.layout import PARQUET, REWRITTEN
from loopline.usecases.serving.records.reading import shaped
from loopline.usecases.serving.records.segments import names
from loopline.usecases.serving.sealing import COMPACTED, Log, tell_all

if TYPE_CHECKING:
    import pyarrow as pa

MANY = 32  # small files of a day that is not over
GRACE_S = 0.5  # for who has listed a folder and not yet opened its files
SMALL = 64 << 20
LARGE = 256 << 20


def compact(log: Log) -> int:
    """Compact the days of a log that need it; the caller is alone at it. Answers how many files were made."""
    today = log.clock.now().astimezone(UTC).strftime("%Y-%m-%d")
    made = 0
    for day in layout.days(log.sealed):
        for group in due(layout.day_folder(log.sealed, day), day < today):
            merge(log, day, group)
            made += 1
    if made:
        tell_all(log)
        time.sleep(GRACE_S)
        for day in layout.days(log.sealed):
            layout.removed(aside(log, day))
    return made


def aside(log: Log, day: str) -> Path:
    """Where the folder of a day is changed."""
    return log.fresh / f".swap-{day}"


def due(folder: Path, over: bool) -> list[list[str]]:
    """Which files of a day belong together: all that are not large once it is over, before only many small ones."""
    if len(names(folder, PARQUET)) < (2 if over else MANY):
        return []
    sizes = {name: (folder / name).stat().st_size for name in layout.present(folder)}
    taken = [name for name, size in sizes.items() if size < (LARGE if over else SMALL)]
    if len(taken) < (2 if over else MANY):
        return []
    return [group for group in _groups(folder, taken, sizes) if len(group) > 1]


def _groups(folder: Path, taken: list[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Files whose columns agree, up to a size. An input that changed its type keeps both, in two files."""
    import pyarrow.parquet as pq

    groups: list[tuple[dict[str, pa.DataType], list[str]]] = []
    for name in taken:
        schema = pq.read_schema(folder / name)
        types = dict(zip(schema.names, schema.types, strict=True))
        for known, group in groups:
            agrees = all(known.get(column, kind) == kind for column, kind in types.items())
            if agrees and sum(sizes[each] for each in group) < LARGE:
                known.update(types)
                group.append(name)
                break
        else:
            groups.append((types, [name]))
    yield from (group for _, group in groups)


def merge(log: Log, day: str, group: list[str]) -> None:
    """One file in place of several."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = layout.day_folder(log.sealed, day)
    schemas = [pq.read_schema(folder / name) for name in group]
    whole = pa.unify_schemas([schema.remove_metadata() for schema in schemas])
    whole = pa.schema(
        [field for field in whole if field.name not in LAST] + [whole.field(n) for n in LAST if n in whole.names]
    )
    redacted = sorted({name for schema in schemas for name in layout.listed(schema.metadata, layout.REDACTED)})
    erasures = sorted({name for schema in schemas for name in layout.listed(schema.metadata, layout.ERASURE)})
    metadata = layout.described(replaces=group, reason=COMPACTED, redacted=redacted, erasure=erasures)
    token = hashlib.sha256(" ".join(group).encode()).hexdigest()[:12]
    hidden = log.fresh / f".{day}-{token}{UNFINISHED}"
    archiving.write(hidden, _sorted(folder, group, whole), whole, metadata)
    spans = [layout.span(name) for name in group]
    name = f"{min(first for first, _ in spans):016d}-{max(last for _, last in spans):016d}-{token}{REWRITTEN}"
    archiving.publish(folder, {name: hidden}, group, aside(log, day), linger=True)


LAST = ("prediction", "latency_us", "explanation", "explanation_base")


def _sorted(folder: Path, group: list[str], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of files, nearly in the order of time and never many in memory: they are read side by side in pieces, and
    sorted within each that is written."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    rows = 0
    for name in sorted(group):
        for piece in archiving.pieces(folder / name):
            waiting.append(shaped(piece, schema))
            rows += piece.num_rows
            if rows >= ROW_GROUP:
                yield pa.concat_tables(waiting).sort_by([("at", "ascending"), ("id", "ascending")])
                waiting, rows = [], 0
    if rows:
        yield pa.concat_tables(waiting).sort_by([("at", "ascending"), ("id", "ascending")])

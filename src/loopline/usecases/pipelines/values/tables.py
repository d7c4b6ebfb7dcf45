"""Tables as Arrow files in normal form, written and read without a second copy in memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from loopline.usecases.pipelines.values.frames import as_arrow, as_kind
from loopline.usecases.pipelines.values.kinds import annotated_kind, frame_kind
from loopline.usecases.pipelines.values.normal import batches, normal_schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["annotated_kind", "as_arrow", "as_kind", "encoded", "frame_kind", "read", "settled", "unchanged", "write"]

HELD_BYTES = 1 << 26  # tables up to here are brought into normal form once, larger ones batch by batch while written


class Hashing(io.RawIOBase):
    """A file that keeps nothing but the digest of what is written to it."""

    def __init__(self) -> None:
        self.digest = blake3()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return len(content)


def settled(table: pa.Table) -> pa.Table:
    """The same table in normal form: equal tables have equal bytes."""
    import pyarrow as pa

    return pa.Table.from_batches(batches(table))


def parts(table: pa.Table) -> Iterable[pa.RecordBatch]:
    """The table in normal form, held in memory when that is little."""
    return list(batches(table)) if table.nbytes <= HELD_BYTES else batches(table)


def write(table: pa.Table, path: Path) -> None:
    """Write a table in normal form as an Arrow file."""
    write_parts(table.schema, batches(table), path)


def write_parts(schema: pa.Schema, inside: Iterable[pa.RecordBatch], path: Path) -> None:
    """Write the parts of a table as an Arrow file."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file:
        _written(schema, inside, file)


def encoded(table: pa.Table) -> bytes:
    """A table in normal form as the bytes of an Arrow file."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    _written(table.schema, batches(table), sink)
    return bytes(sink.getvalue())


def unchanged(schema: pa.Schema, inside: list[pa.RecordBatch], known: Mapping[str, str]) -> tuple[str, int] | None:
    """Digest and size of the file among `known` (digest → path) that holds exactly this table: a step that hands on
    what it was given writes nothing. Only a file of the same size is worth a closer look."""
    import pyarrow as pa

    count = pa.MockOutputStream()
    _written(schema, inside, count)
    size = int(count.size())
    if not any(Path(path).is_file() and Path(path).stat().st_size == size for path in known.values()):
        return None
    sink = Hashing()
    _written(schema, inside, pa.PythonFile(sink, "w"))
    digest = str(sink.digest.hexdigest())
    return (digest, size) if digest in known else None


def _written(schema: pa.Schema, inside: Iterable[pa.RecordBatch], sink: Any) -> None:
    import pyarrow as pa

    with pa.ipc.new_file(sink, normal_schema(schema)) as writer:
        for batch in inside:
            writer.write_batch(batch)


def read(source: Path | bytes) -> pa.Table:
    """The table of an Arrow file, mapped into memory where it is a file."""
    import pyarrow as pa

    file = pa.memory_map(str(source)) if isinstance(source, Path) else pa.BufferReader(source)
    return pa.ipc.open_file(file).read_all()

"""What names data: a digest of its content, with its shape. Equal content has one digest, whatever library holds it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3

from loopline.core.errors import Invalid
from loopline.kit.digests import file_digest

if TYPE_CHECKING:
    import pyarrow as pa

MOST_COLUMNS = 200
_DIGEST = re.compile(r"(?:[\w-]+:)?[0-9a-fA-F]{6,128}\Z")


class Digested(msgspec.Struct):
    """The name of some data, and its shape: "form", "rows", "columns" [[name, type], …], "bytes", "files"."""

    digest: str
    profile: dict[str, Any] = {}


def digested(data: Any) -> Digested:
    """The digest and shape of a digest (as it is), a dataset's snapshot, a path, an array or a frame; Invalid for others."""
    if isinstance(data, str) and _DIGEST.match(data) and not Path(data).exists():
        return Digested(data)
    if isinstance(data, str | Path):
        return of_path(Path(data))
    if isinstance(getattr(data, "digest", None), str):
        rows = getattr(data, "rows", None)
        return Digested(data.digest, {"form": "snapshot", "rows": rows} if isinstance(rows, int) else {})
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    if (
        hasattr(data, "dtype")
        and hasattr(data, "shape")
        and not hasattr(data, "iloc")
        and not hasattr(data, "to_arrow")
    ):
        return of_array(data)
    return of_frame(data)


def of_path(place: Path) -> Digested:
    """A file by its bytes; a folder by the names and bytes of its files."""
    if place.is_file():
        return Digested(file_digest(place), {"form": "file", "bytes": place.stat().st_size})
    if not place.is_dir():
        raise Invalid(f"There is no file {str(place)[:200]!r}.", "Name a file or a folder, or give a digest.")
    found, size = blake3(b"folder"), 0
    files = sorted(one for one in place.rglob("*") if one.is_file())
    for one in files:
        name = one.relative_to(place).as_posix().encode(errors="surrogateescape")
        found.update(len(name).to_bytes(8, "little") + name + bytes.fromhex(file_digest(one)))
        size += one.stat().st_size
    return Digested(str(found.hexdigest()), {"form": "folder", "files": len(files), "bytes": size})


def of_array(array: Any) -> Digested:
    """An array by its type, shape and values in C order."""
    import numpy as np

    plain = np.ascontiguousarray(array)
    if plain.dtype.hasobject:
        content: Any = msgspec.json.encode(plain.tolist(), enc_hook=str)
    else:
        content = plain.reshape(-1).view(np.uint8).data if plain.size else b""
    head = f"{plain.dtype.str}{plain.shape}".encode()
    profile = {"form": "array", "rows": plain.shape[0] if plain.ndim else 1, "shape": list(plain.shape)}
    return Digested(str(blake3(head).update(content).hexdigest()), {**profile, "type": str(plain.dtype)})


def of_frame(frame: Any) -> Digested:
    """A frame by names, types and values of its columns, as Arrow holds them."""
    from loopline.usecases.tracking.objects.tables import arrow

    table = arrow(frame)
    columns = [[str(field.name), str(field.type)] for field in table.schema]
    profile: dict[str, Any] = {"form": "frame", "rows": table.num_rows, "columns": columns[:MOST_COLUMNS]}
    if len(columns) > MOST_COLUMNS:
        profile["left_out"] = len(columns) - MOST_COLUMNS
    return Digested(of_table(table), profile)


def of_table(table: pa.Table) -> str:
    """BLAKE3 of the columns in one piece each with where they are null, as an Arrow stream writes them."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        plain = plain_column(column)
        columns[f"{name}:{len(columns)}"] = filled(plain)
        if plain.null_count:
            columns[f"null:{len(columns)}"] = plain.is_null()
    whole = pa.table(columns)
    found = blake3()
    sink = pa.PythonFile(Sink(found), mode="w")
    with pa.ipc.new_stream(sink, whole.schema) as stream:
        stream.write_table(whole)
    return str(found.hexdigest())


def filled(column: Any) -> Any:
    """A column with one and the same value wherever it is null: what lies there differs from library to library."""
    import pyarrow as pa

    if not column.null_count:
        return column
    for zero in (0, "", b"", False):
        try:
            return column.fill_null(pa.scalar(zero).cast(column.type))
        except (pa.ArrowException, TypeError):
            continue
    return column


def plain_column(column: Any) -> Any:
    """A column without chunks, dictionaries or views: in the one form that all libraries' columns come to."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    large = {pa.string(): pa.large_string(), pa.string_view(): pa.large_string(), pa.binary(): pa.large_binary()}
    column = column.cast(large[kind]) if kind in large else column
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


class Sink:
    """A file that only hashes."""

    closed = False

    def __init__(self, into: Any) -> None:
        self._into = into

    def write(self, data: Any) -> int:
        """Hash."""
        self._into.update(bytes(data) if not isinstance(data, bytes | memoryview) else data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

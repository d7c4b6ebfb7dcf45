"""Where batches are found: the files of a folder, or the rows of a query."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid, LooplineError, NotFound, Unavailable
from loopline.kit.masking import masked
from loopline.usecases.datasets.files import format_of
from loopline.usecases.datasets.model import Source

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Found:
    """A file that may be a new batch. `stamp` (size, time of change, inode) differs when its bytes may differ."""

    name: str
    path: Path
    format: str
    stamp: str


def found_in(
    source: Source, scratch: Callable[[], Path], variables: Mapping[str, str] | None = None
) -> Iterator[Found]:
    """What the source holds now, by name. A query is run, and its rows are one Arrow file in a folder of `scratch`;
    `variables` fill its url before those of the process."""
    if source.folder:
        yield from _files(Path(source.folder))
    else:
        path = scratch() / "query.arrow"
        _write_rows(_rows(source, variables or {}), path)
        yield Found("query", path, "arrow", "")


def _files(folder: Path) -> Iterator[Found]:
    if not folder.is_dir():
        raise NotFound(
            f"There is no folder {str(folder)!r} to read batches from.", "Make it, or correct loopline.yaml."
        )
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        file_format = format_of(path)
        if file_format and path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield Found(name.as_posix(), path, file_format, stamp_of(path))


def stamp_of(path: Path) -> str:
    """Size, time of change and inode of a file as text."""
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"


def _rows(source: Source, variables: Mapping[str, str]) -> Any:
    url = _filled(source.url, variables)
    connect = _driver(source.url)
    try:
        with connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(source.query)
            return cursor.fetch_arrow_table()
    except LooplineError:
        raise
    except Exception as error:  # each driver has errors of its own; all mean that the rows cannot be had
        reason = masked((str(error).splitlines() or [""])[0].replace(url, source.url), _used(source.url, variables))[
            :300
        ]
        raise Unavailable(f"The query on {source.url} failed: {reason}", "Try the query by hand.") from None


def _driver(url: str) -> Any:
    scheme = url.partition("://")[0]
    try:
        if scheme == "sqlite":
            from adbc_driver_sqlite import dbapi as sqlite

            return lambda address: sqlite.connect(_sqlite_file(address))
        if scheme in ("postgresql", "postgres"):
            from adbc_driver_postgresql import dbapi as postgresql

            return postgresql.connect
    except ImportError:
        raise Unavailable("Reading from a database needs ADBC.", "`pip install 'loopline[sql]'`.") from None
    raise Invalid(f"{scheme!r} is no database that Loopline reads.", "Use sqlite:///FILE or postgresql://….")


def _sqlite_file(url: str) -> str:
    path = Path(url.partition("://")[2].removeprefix("/") if url.startswith("sqlite:///") else "")
    if not path.is_file():
        raise NotFound(
            f"There is no SQLite file {str(path)!r}.", "Write sqlite:///data.db, or sqlite:////whole/path.db."
        )
    return f"file:{path.absolute()}?mode=ro"


def _filled(url: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = variables.get(match[1], os.environ.get(match[1]))
        if found is None:
            raise Unavailable(f"The variable {match[1]} of a database's url is not set.", f"Set {match[1]}.")
        return found

    return _VARIABLE.sub(value, url)


def _used(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What stands in a url in place of its variables: drivers may quote parts of it."""
    return {name: variables.get(name, os.environ.get(name, "")) for name in _VARIABLE.findall(url)}


def _write_rows(table: Any, path: Path) -> None:
    """Equal rows give equal bytes: one chunk, no driver's metadata, nothing left over behind empty values."""
    import numpy as np
    import pyarrow as pa

    schema = pa.schema([field.remove_metadata() for field in table.schema])
    plain = pa.Table.from_arrays([_numeric(column) for column in _with_types(table)], names=schema.names)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, plain.schema) as writer:
        whole = plain.combine_chunks()
        writer.write_table(whole.take(pa.array(np.arange(whole.num_rows))))  # drivers leave unused bits as they were


def _with_types(table: Any) -> Iterator[tuple[Any, Any]]:
    return zip(table.schema, table.columns, strict=True)


def _numeric(column: tuple[Any, Any]) -> Any:
    """PostgreSQL's numeric comes as text; as a number it is what the table's owner meant."""
    import pyarrow as pa

    field, values = column
    kind = (field.metadata or {}).get(b"ADBC:postgresql:typname", b"")
    storage = getattr(values, "type", None)
    if isinstance(storage, pa.BaseExtensionType):
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], type=storage.storage_type)
        kind = kind or str(getattr(storage, "type_name", "")).encode()
    return values.cast(pa.float64()) if kind == b"numeric" else values

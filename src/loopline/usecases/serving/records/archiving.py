"""Writing sealed files: whole or not there, and several changed at once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.kit.durable import make_folder, sync_folder
from loopline.usecases.serving.records.layout import removed

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 65536
UNFINISHED = ".sealing"
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def write(path: Path, tables: Iterable[pa.Table], schema: pa.Schema, metadata: Mapping[bytes, bytes]) -> int:
    """A Parquet file that is on disk when this answers, with how many rows. Types are those that Spark reads too."""
    import pyarrow.parquet as pq

    rows = 0
    whole = schema.with_metadata(dict(metadata))
    with pq.ParquetWriter(path, whole, compression="zstd", use_dictionary=True) as writer:
        for table in tables:
            writer.write_table(table.replace_schema_metadata(dict(metadata)), row_group_size=ROW_GROUP)
            rows += table.num_rows
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    return rows


def publish(
    folder: Path,
    files: Mapping[str, Path],
    drop: Iterable[str] = (),
    aside: Path | None = None,
    linger: bool = False,
) -> None:
    """Put `files` (name to a finished file on the same disk) into a folder and take the names in `drop` out of it, in
    one step for everybody who lists the folder: it is exchanged with one made beside it at `aside`, a hidden place on the
    same disk. Without that, or where the system cannot exchange folders, what comes is there before what goes is gone.
    Nobody else may write into the folder meanwhile. With `linger` the old folder is left aside, so that who has listed
    it may still read it."""
    going = set(drop)
    make_folder(folder, 0o700)
    if not going or aside is None:
        _moved(folder, files)
        _dropped(folder, going - files.keys())
        return
    removed(aside)
    make_folder(aside, 0o700)
    for name in os.listdir(folder):
        if name not in going and name not in files:
            os.link(folder / name, aside / name)
    for name, path in files.items():
        os.link(path, aside / name)
    sync_folder(aside)
    if exchanged(aside, folder):
        sync_folder(folder.parent)
    else:
        _moved(folder, files)
        _dropped(folder, going - files.keys())
    if not linger:
        removed(aside)
    for path in files.values():
        removed(path)


def _moved(folder: Path, files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        os.replace(path, folder / name)
    sync_folder(folder)


def _dropped(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        removed(folder / name)
    sync_folder(folder)


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders at once (Linux); False where the system or the file system cannot."""
    call: Any = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return bool(call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)


def pieces(path: Path) -> Iterator[pa.Table]:
    """The row groups of a file, one after the other."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as opened:
        for place in range(opened.num_row_groups):
            yield opened.read_row_group(place).replace_schema_metadata()

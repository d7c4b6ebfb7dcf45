"""Writing sealed files: whole or not there, and several changed at once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping
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


def publish(folder: Path, files: Mapping[str, Path], drop: Iterable[str], aside: Path) -> None:
    """Put `files` (name to a finished file on the same disk) into a folder and take the names in `drop` out of it, in
    one step for everybody who lists the folder, where the system can exchange two folders. Where it cannot, what comes
    is there before what goes is gone. `aside` is a hidden place on the same disk."""
    going = set(drop)
    make_folder(folder, 0o700)
    if not going:
        _moved(folder, files)
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
        for name in going - files.keys():
            removed(folder / name)
        sync_folder(folder)
    removed(aside)
    for path in files.values():
        removed(path)


def _moved(folder: Path, files: Mapping[str, Path]) -> None:
    for name, path in files.items():
        os.replace(path, folder / name)
    sync_folder(folder)


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders at once (Linux); False where the system or the file system cannot."""
    call: Any = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return bool(call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)

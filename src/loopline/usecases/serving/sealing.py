"""Sealing: closed segments become a Parquet file, a fact names it by digest, then the segments go.

Safe to break off anywhere: a file knows the segments it holds, so readers count nothing twice; the next sealing tells
the fact of a file that has none yet and removes segments that a told file holds.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.kit.durable import sync_folder
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.model import subject
from loopline.usecases.serving.needs import Facts
from loopline.usecases.serving.records import reading
from loopline.usecases.serving.records.segments import Header, closed, names, read
from loopline.usecases.serving.records.writing import PREDICTIONS, TRUTH

if TYPE_CHECKING:
    import pyarrow as pa

MOST_TOGETHER = 256 << 20
ROW_GROUP = 65536
UNFINISHED = ".sealing"


def seal(database: Database, ledger: Facts, clock: Clock, home: Path, actor: str) -> int:
    """Seal what is closed in the logs of all endpoints; answers how many files got their fact."""
    told = 0
    for kind in (PREDICTIONS, TRUTH):
        root = home / kind
        for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
            with _alone(folder) as alone:
                if alone:
                    told += _seal_folder(database, ledger, clock, kind, folder, actor)
    return told


def _seal_folder(database: Database, ledger: Facts, clock: Clock, kind: str, folder: Path, actor: str) -> int:
    for name in os.listdir(folder):
        if name.endswith(UNFINISHED):  # of a sealing that broke off: we are alone
            remove(folder / name)
    within = _covered(folder)
    handles = {name: handle for name in names(folder) if (handle := closed(folder / name)) is not None}
    try:
        for group in _groups(folder, [name for name in handles if name not in within]):
            _write(kind, folder, group)
        told = _tell_all(database, ledger, clock, kind, folder, actor)
        for name in _covered(folder) & handles.keys():
            remove(folder / name)
        return told
    finally:
        for handle in handles.values():
            os.close(handle)


def _groups(folder: Path, files: list[str]) -> Iterator[list[str]]:
    """Segments that belong into one file: same revision, bounded size. Segments without a record are removed."""
    groups: dict[Header, list[str]] = {}
    size = 0
    for name in files:
        found = read(folder / name)
        if found is None or not found[1]:
            remove(folder / name)
            continue
        groups.setdefault(found[0], []).append(name)
        size += (folder / name).stat().st_size
        if size > MOST_TOGETHER:
            yield from groups.values()
            groups, size = {}, 0
    yield from groups.values()


def _write(kind: str, folder: Path, files: list[str]) -> None:
    """One Parquet file out of segments, whole or not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    decoded = reading.prediction_table if kind == PREDICTIONS else reading.truth_table
    table = pa.concat_tables([decoded(*found) for name in files if (found := read(folder / name))])
    table = table.replace_schema_metadata({reading.SEGMENTS_KEY: " ".join(files).encode()})
    hidden = folder / f".{files[0]}{UNFINISHED}"
    pq.write_table(table, hidden, row_group_size=ROW_GROUP, compression="zstd", use_dictionary=True)
    with open(hidden, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(hidden, folder / _name(kind, table, files))
    sync_folder(folder)


def _name(kind: str, table: pa.Table, files: list[str]) -> str:
    """<first>-<last>-<first segment>: milliseconds for predictions, seq for truth."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = table["at"].cast(pa.int64()) if kind == PREDICTIONS else table["seq"]
    first, last = pc.min_max(values).as_py().values()
    return f"{first:016d}-{last:016d}-{files[0].removesuffix('.seg').split('-', 1)[1]}.parquet"


def _tell_all(database: Database, ledger: Facts, clock: Clock, kind: str, folder: Path, actor: str) -> int:
    known = database.read(lambda tx: store.sealed(tx, kind, folder.name))
    told = 0
    for name in names(folder, ".parquet"):
        if name not in known:
            body = {"endpoint": folder.name, "file": name, **_range(kind, folder / name)}
            told += database.write(lambda tx, body=body: _tell(tx, ledger, clock, kind, actor, body))  # type: ignore[misc]
    return told


def _tell(tx: Transaction, ledger: Facts, clock: Clock, kind: str, actor: str, body: dict[str, Any]) -> int:
    row = {key: body[key] for key in ("endpoint", "file", "digest", "rows")}
    if not store.insert_sealed(tx, {**row, "kind": kind, "sealed_at": clock.text()}):
        return 0
    ledger.append(tx, f"{kind}.sealed", subject(body["endpoint"]), actor, body)
    return 1


def _range(kind: str, path: Path) -> dict[str, Any]:
    """Rows, first and last record, and the digest of a sealed file."""
    import blake3
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    column = "id" if kind == PREDICTIONS else "seq"
    table = pq.read_table(path, columns=[column])
    first, last = pc.min_max(table[column]).as_py().values()
    digest = blake3.blake3().update_mmap(str(path)).hexdigest()
    return {"rows": table.num_rows, "first": first, "last": last, "digest": digest, "bytes": path.stat().st_size}


def _covered(folder: Path) -> set[str]:
    """Segments that are within a sealed file."""
    if not names(folder):
        return set()
    return set().union(*(reading.segments_within(folder / name) for name in names(folder, ".parquet")))


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """One sealing of a folder at a time: false while another process is at it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file that is not needed any more."""
    path.unlink(missing_ok=True)

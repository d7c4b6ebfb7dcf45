"""Where the log lies: segments by endpoint, and Parquet files by endpoint and day, as Hive lays out partitions.

    predictions/NAME/*.seg                                    what is being written, and what waits to be sealed
    prediction-log/endpoint=NAME/day=2013-05-03/*.parquet     what is sealed; `day` is that of `at`, in UTC

A Parquet file says in its own metadata which sources (segments) its rows came from and which files it replaces, so a
reader counts nothing twice whatever was broken off: a file that another one of its day replaces, and the rows of a
source on a day that has a file made from it, are left out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.usecases.serving.records.segments import names

if TYPE_CHECKING:
    import pyarrow as pa

ROOT = "prediction-log"
PARQUET = ".parquet"
REWRITTEN = f"-r{PARQUET}"  # how the name of a file ends that replaces others
EMPTIED = f"-end{PARQUET}"  # and one that only tells where the counting of truth goes on
FORMAT, SOURCES, REPLACES, REASON, REDACTED, ERASURE = (
    f"loopline.{name}".encode() for name in ("format", "segments", "replaces", "reason", "redacted", "erasure")
)
DAY_MS = 86_400_000


def archive(home: Path, endpoint: str) -> Path:
    """The folder of an endpoint's days."""
    return home / ROOT / f"endpoint={endpoint}"


def day_of(ms: int) -> str:
    """The day, in UTC, of a time in milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def days(folder: Path) -> list[str]:
    """The days that an archive has, in order."""
    return [name.removeprefix("day=") for name in names(folder, "") if name.startswith("day=")]


def changed(home: Path, endpoint: str) -> int:
    """A number that differs once sealed files of an endpoint came or went (the archive's time, set by `touch`)."""
    try:
        return archive(home, endpoint).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def touch(home: Path, endpoint: str) -> None:
    """Have `changed` tell of a change."""
    with suppress(FileNotFoundError):
        os.utime(archive(home, endpoint))


def day_folder(folder: Path, day: str) -> Path:
    return folder / f"day={day}"


def span(name: str) -> tuple[int, int]:
    """First and last millisecond (of truth: seq) of a sealed file, by its name."""
    first, last = name.split("-")[:2]
    return int(first), int(last)


def listed(metadata: Mapping[bytes, bytes] | None, key: bytes) -> list[str]:
    """A list of names in a file's metadata."""
    return (metadata or {}).get(key, b"").decode().split()


def footer(path: Path) -> Mapping[bytes, bytes]:
    """The metadata of a Parquet file."""
    import pyarrow.parquet as pq

    return pq.read_schema(path).metadata or {}


def listing(folder: Path) -> list[str]:
    """The Parquet files of a folder. FileNotFoundError when it was exchanged for another while it was listed: then the
    files of the old one may have been going already."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        found = sorted(name for name in os.listdir(handle) if name.endswith(PARQUET) and not name.startswith("."))
        if os.fstat(handle).st_ino != folder.stat().st_ino:
            raise FileNotFoundError(folder)
        return found
    finally:
        os.close(handle)


def present(folder: Path) -> list[str]:
    """The Parquet files of a folder that no other one replaces. FileNotFoundError when they change meanwhile."""
    found = listing(folder)
    if len(found) < 2:
        return found
    gone = {name for each in found if each.endswith(REWRITTEN) for name in listed(footer(folder / each), REPLACES)}
    return [name for name in found if name not in gone]


def covered(folder: Path, files: Iterable[tuple[str, str]], since_day: str) -> dict[str, set[str]]:
    """Source to the days (from `since_day` on) that hold a file made from it, of these files (day, name)."""
    found: dict[str, set[str]] = {}
    for day, name in files:
        if day >= since_day:
            for source in listed(footer(day_folder(folder, day) / name), SOURCES):
                found.setdefault(source, set()).add(day)
    return found


def without_days(table: pa.Table, gone: Iterable[str]) -> pa.Table:
    """The rows of a table whose `at` is on none of these days."""
    import pyarrow as pa
    import pyarrow.compute as pc

    refused = pa.array([datetime.fromisoformat(day).date() for day in gone], pa.date32())
    if not len(refused):
        return table
    return table.filter(pc.invert(pc.is_in(pc.cast(table["at"], pa.date32()), value_set=refused)))


def by_day(table: pa.Table) -> dict[str, pa.Table]:
    """The rows of a table by the day of `at`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    on = pc.cast(table["at"], pa.date32())
    return {str(day): table.filter(pc.equal(on, day)) for day in sorted(pc.unique(on).to_pylist())}


def removed(path: Path) -> None:
    """Remove a file or folder that is not needed any more."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def described(**values: Any) -> dict[bytes, bytes]:
    """The metadata of a file of the log, in its present form."""
    keys = {"sources": SOURCES, "replaces": REPLACES, "reason": REASON, "redacted": REDACTED, "erasure": ERASURE}
    found = {FORMAT: b"2"}
    for name, value in values.items():
        if value:
            found[keys[name]] = (value if isinstance(value, str) else " ".join(value)).encode()
    return found

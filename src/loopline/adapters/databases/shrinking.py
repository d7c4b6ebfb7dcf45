"""Give the room of removed rows back to the disk, beside the writer's lane and in small pieces."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

PIECE = 1000
"""Pages given back at a time: about 4 MB, so that a write waits for some milliseconds at most."""
SMALL = 256 << 20
"""A database of so many bytes is built anew within seconds."""
WORTH = 1 << 20


def shrink(path: Path, connect: Callable[[Path], sqlite3.Connection], whole: bool) -> int:
    """How many bytes the database and its log became smaller. See the port."""
    before = size(path)
    db = connect(path)
    try:
        db.execute("PRAGMA synchronous=NORMAL")  # nothing is lost when a power cut undoes it
        db.execute("PRAGMA wal_autocheckpoint=0")  # one at the end: each would write pages all over the file
        if not db.execute("PRAGMA auto_vacuum").fetchone()[0]:
            rebuild(db, path, whole)
        else:
            while free(db):
                left = free(db)
                db.execute(f"PRAGMA incremental_vacuum({PIECE})").fetchall()
                if free(db) >= left:
                    break
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.close()
    return max(0, before - size(path))


def rebuild(db: sqlite3.Connection, path: Path, whole: bool) -> None:
    """Build the database anew, so that it can shrink from now on, when that is worth it and can be done."""
    worth = free(db) * page(db) >= WORTH
    room = shutil.disk_usage(path.parent).free > 2.2 * path.stat().st_size
    if room and (whole or (worth and path.stat().st_size <= SMALL)):
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("VACUUM")


def free(db: sqlite3.Connection) -> int:
    """Pages that hold nothing."""
    return int(db.execute("PRAGMA freelist_count").fetchone()[0])


def page(db: sqlite3.Connection) -> int:
    """Bytes of a page."""
    return int(db.execute("PRAGMA page_size").fetchone()[0])


def size(path: Path) -> int:
    """Bytes of the database and its log."""
    return sum(each.stat().st_size for each in (path, path.with_name(f"{path.name}-wal")) if each.exists())

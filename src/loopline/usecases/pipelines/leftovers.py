"""What runs leave behind in an installation's folder, and what can be made again from what is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from loopline.kit.durable import sweep
from loopline.ports.database import Database

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
LOGS_FOR_S = 30 * DAY_S


def clear_up(home: Path, database: Database, referred: set[str], now: float, dry_run: bool = False) -> tuple[int, int]:
    """Remove what nobody needs any more; answers how many files and folders, and their bytes.

    That is: folders of runs that have ended, snapshots and applied code laid out as files and not used for a day (both
    are laid out again when they are wanted; code that is still referred to stays), and logs of firings after 30 days.
    """
    found = list(leftovers(home, database, referred, now))
    size = sum(bytes_of(place) for place in found)
    if not dry_run:
        for place in found:
            remove(place)
        sweep(home / "blobs")
    return len(found), size


def leftovers(home: Path, database: Database, referred: set[str], now: float) -> Iterator[Path]:
    """Files and folders that nobody needs any more."""
    work = home / "work"
    yield from unused((work / "snapshots").glob("*.arrow"), now - DAY_S)
    yield from unused((home / "logs").glob("firing-*.log"), now - LOGS_FOR_S)
    yield from (place for place in unused((work / "code").glob("*"), now - DAY_S) if place.name not in referred)
    runs = list(unused((work / "runs").glob("*"), now - HOUR_S))
    going_on = running(database) if runs else set()
    yield from (place for place in runs if place.name not in going_on)


def running(database: Database) -> set[str]:
    """Ids of the pipeline runs that go on."""
    statement = """SELECT p.run_id FROM pipelines_runs p JOIN tracking_runs t ON t.id = p.run_id
        WHERE t.status = 'running'"""
    return {row["run_id"] for row in database.read(lambda tx: tx.rows(statement))}


def unused(places: Iterator[Path], before: float) -> Iterator[Path]:
    """Files that were last read, and folders that were last written to, before a time."""
    for place in sorted(places):
        with contextlib.suppress(OSError):
            stat = place.stat()
            read_at = stat.st_mtime if place.is_dir() else stat.st_atime  # looking at a folder counts as reading it
            if max(read_at, stat.st_mtime) < before:
                yield place


def bytes_of(place: Path) -> int:
    """How many bytes a file or folder holds."""
    if not place.is_dir():
        return place.stat().st_size if place.exists() else 0
    return sum(os.lstat(Path(folder, name)).st_size for folder, _, names in os.walk(place) for name in names)


def remove(place: Path) -> None:
    """Remove a file or folder; what cannot be removed stays."""
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            place.unlink()

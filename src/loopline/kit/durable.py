"""Files that are whole or not there, also after a power cut: temporary file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.\d+\.(?:[0-9a-f]{8}\.)?tmp\Z")
LONGEST_WRITE_S = 3600.0


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and its parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True, mode=mode)
    sync_folder(folder.parent)


def write_file(path: Path, content: bytes | Iterable[bytes], mode: int = 0o644) -> None:
    """Put `content` at `path`, replacing what was there; a crash leaves the old or the new, never a part."""
    temporary = path.with_name(temporary_name(path.name))
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            for piece in (content,) if isinstance(content, bytes) else content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def temporary_name(name: str) -> str:
    """A name that nobody else takes for the bytes of `name` until they are whole, and that `sweep` knows."""
    return f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp"


def sweep(folder: Path) -> int:
    """Remove the temporary files that killed processes left in a folder and below it, an hour after they were last
    written to; answers how many."""
    removed, before = 0, time.time() - LONGEST_WRITE_S
    for place, _, names in os.walk(folder):
        for name in filter(TEMPORARY.match, names):
            with contextlib.suppress(OSError):  # its writer may be at it after all
                file = Path(place, name)
                if file.stat().st_mtime < before:
                    file.unlink()
                    removed += 1
    return removed

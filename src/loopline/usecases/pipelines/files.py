"""The files of a project: one digest over all of them, taken without reading what did not change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from loopline.core.errors import NotFound
from loopline.usecases.pipelines.hashing import digest_all

_LARGE = 1 << 20
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist"})
_known: dict[str, tuple[tuple[int, int, int], str]] = {}


def stamp_of(folder: Path) -> str:
    """A digest over names and contents of all files, hidden ones and caches left out.

    Of files above 1 MiB (data) size and time of change stand for the content. Raises NotFound for no folder.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", "Name the folder of a project.")
    root = os.fspath(folder)
    return digest_all(field for name, path in sorted(walked(root)) for field in (name, digest_of(path)))


def walked(root: str) -> Iterator[tuple[str, str]]:
    """Relative name and path of each file."""
    for place, folders, names in os.walk(root):
        folders[:] = [one for one in folders if not one.startswith(".") and one not in _LEFT_OUT]
        for name in names:
            if not name.startswith(".") and not name.endswith(".pyc"):
                path = f"{place}/{name}"
                yield path[len(root) + 1 :], path


def digest_of(path: str) -> str:
    """The digest of a file, read again only when its time, size or inode changed."""
    try:
        stat = os.stat(path)
    except OSError:
        return "gone"
    stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if stat.st_size > _LARGE:
        return f"large {stamp}"
    known = _known.get(path)
    if known is None or known[0] != stamp:
        known = _known[path] = (stamp, blake3(Path(path).read_bytes()).hexdigest())
    return known[1]

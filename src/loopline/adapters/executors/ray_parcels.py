"""What a call needs on a node that does not share this disk, put into Ray's object store once per content."""

from __future__ import annotations

import io
import os
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopline.ports.executor import Call

_LEFT_OUT = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist"})
LARGEST = 16 << 20
"""Bytes above which a file of a project's folder is data: it stays behind."""
_KEPT_BYTES = 2 << 30

Parcel = list[tuple[str, str, str, Any]]
"""(place or project, digest, path of the caller, reference)"""


class Parcels:
    """Contents in the object store by digest; the oldest are let go when they become many gigabytes."""

    def __init__(self, ray: Any, wanted: bool) -> None:
        self._ray = ray
        self._wanted = wanted  # on a cluster that is this machine alone, everybody sees the same disk
        self._known: OrderedDict[tuple[str, str], tuple[int, Any]] = OrderedDict()
        self._size = 0

    def of(self, call: Call) -> Parcel:
        """What has to go with a call. References inside a list are fetched only by a node that asks."""
        if not self._wanted:
            return []
        projects = [
            ("project", digest, path, self._ref("project", digest, path)) for digest, path in call.projects.items()
        ]
        return projects + [
            ("place", digest, path, self._ref("place", digest, path)) for digest, path in call.places.items()
        ]

    def forget(self) -> None:
        """Let all of them go."""
        self._known.clear()
        self._size = 0

    def _ref(self, kind: str, digest: str, path: str) -> Any:
        known = self._known.get((kind, digest))
        if known is None:
            content = packed(path) if kind == "project" else mapped(path)
            known = self._known[kind, digest] = len(content), self._ray.put(content)
            self._size += known[0]
            while self._size > _KEPT_BYTES and len(self._known) > 1:
                self._size -= self._known.popitem(last=False)[1][0]
        self._known.move_to_end((kind, digest))
        return known[1]


def mapped(path: str) -> Any:
    """A file's bytes as an array that is copied nowhere but into the object store."""
    import numpy as np

    return np.memmap(path, dtype=np.uint8, mode="r") if os.path.getsize(path) else np.zeros(0, np.uint8)


def packed(folder: str) -> bytes:
    """A project's files as one archive: hidden ones, caches and large data left out."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in sorted(project_files(folder)):
            archive.writestr(zipfile.ZipInfo(name), Path(path).read_bytes(), zipfile.ZIP_DEFLATED)
    return sink.getvalue()


def project_files(folder: str) -> Iterator[tuple[str, str]]:
    """Relative name and path of each file that goes along."""
    for place, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".") and one not in _LEFT_OUT]
        for name in names:
            path = os.path.join(place, name)
            if not name.startswith(".") and not name.endswith(".pyc") and os.path.getsize(path) <= LARGEST:
                yield os.path.relpath(path, folder), path

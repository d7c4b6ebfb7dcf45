"""Write files out to the disk beside whatever else goes on."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.kit.durable import sync_folder

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_THREADS = 2


class Syncing:
    """Files in folders below `root` on their way to the disk. A failed fsync is never tried again, as the kernel then
    may take the bytes for written: the file is dropped instead."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._waiting = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pending: list[tuple[Path, Future[None]]] = []
        self._rooted: set[Path] = set()

    def add(self, place: Path) -> None:
        """Begin to write a file out."""
        with self._lock:
            self._pending.append((place, self._begun(place)))

    def _begun(self, place: Path) -> Future[None]:
        try:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = self._pool or ThreadPoolExecutor(_THREADS, "blobs-sync")
            return self._pool.submit(sync_file, place)
        except RuntimeError:  # the interpreter is ending and begins nothing any more: then here
            from concurrent.futures import Future

            done: Future[None] = Future()
            try:
                sync_file(place)
                done.set_result(None)
            except OSError as error:
                done.set_exception(error)
            return done

    def wait(self) -> OSError | None:
        """Wait for all files added before, then for their names; the first failure, if there was one. Whoever comes
        while another waits stands behind him, as that one may have taken the files that this one asks for."""
        with self._waiting:
            with self._lock:
                pending, self._pending = self._pending, []
            lost: OSError | None = None
            for place, future in pending:
                failure = self._failure(place, future)
                lost = lost or failure
            try:
                self._sync_folders({place.parent for place, _ in pending})
            except OSError as error:
                lost = lost or error
            return lost

    def _failure(self, place: Path, future: Future[None]) -> OSError | None:
        try:
            future.result()
        except OSError as error:
            with contextlib.suppress(OSError):
                place.unlink()
            return error
        return None

    def _sync_folders(self, folders: set[Path]) -> None:
        for folder in folders:
            sync_folder(folder)
        if not folders <= self._rooted:
            sync_folder(self._root)
            self._rooted |= folders


def sync_file(place: Path) -> None:
    """Have a file's bytes survive a power cut."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Who is making which result: a claim by key that ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")  # Linux's struct flock with 64-bit offsets
_TAKE = getattr(fcntl, "F_OFD_SETLK", None)


class Claims:
    """Claims of one run. Each key is one byte of one file, locked for this open file: the kernel gives it back when the
    file is closed or the process dies, and no row has to be written. Without such locks (not Linux) every claim is had.

    Two runs whose keys share a byte wait for each other without need; with 62 bits that does not happen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def take(self, key: str) -> bool:
        """Whether this run may make the result now; False while another one does."""
        return _TAKE is None or self._lock(fcntl.F_WRLCK, key)

    def give_back(self, key: str) -> None:
        """Let others have the key."""
        if key and self._file >= 0:
            self._lock(fcntl.F_UNLCK, key)

    def close(self) -> None:
        """Give everything back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self, kind: int, key: str) -> bool:
        if self._file < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        place = int(key[:16], 16) >> 2
        with contextlib.suppress(BlockingIOError, PermissionError):
            fcntl.fcntl(self._file, _TAKE, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))  # type: ignore[arg-type]
            return True
        return False

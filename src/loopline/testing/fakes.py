"""Engines without disk or passing time, for quick tests. They pass the same contract suites."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from loopline.core.errors import Invalid, NotFound
from loopline.core.times import from_text, to_text
from loopline.ports.blobs import Kept


class FixedClock:
    """A clock that moves only when told."""

    def __init__(self, at: str = "2013-01-01T00:00:00Z") -> None:
        self._now = from_text(at)

    def now(self) -> datetime:
        return self._now

    def text(self) -> str:
        return to_text(self._now)

    def move(self, **by: float) -> None:
        """`move(days=1, seconds=3)`."""
        self._now += timedelta(**by)

    def set(self, at: str) -> None:
        """Stand at `at` (ISO 8601 text)."""
        self._now = from_text(at).astimezone(UTC)


class MemoryBlobs:
    """Bytes in a dictionary; `folder` is where `path` writes them when asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, bytes] = {}
        self._used_at: dict[str, float] = {}

    def put(self, content: bytes) -> str:
        digest = str(blake3(content).hexdigest())
        self._kept[digest] = content
        self._used_at[digest] = time.time()
        return digest

    def put_file(self, path: Path) -> str:
        try:
            return self.put(path.read_bytes())
        except OSError as error:
            raise Invalid(f"{path} cannot be read ({error.strerror}).", "Name a file that exists.") from error

    def adopt(self, digest: str, path: Path) -> None:
        self.put_file(path)
        path.unlink()

    def take(self, content: bytes) -> str:
        return self.put(content)

    def settle(self) -> None:
        return None

    def get(self, digest: str) -> bytes:
        if digest not in self._kept:
            raise NotFound(f"No bytes are kept under {digest[:80]!r}.", "Run what made them again.")
        self._used_at[digest] = time.time()
        return self._kept[digest]

    def path(self, digest: str) -> Path:
        content = self.get(digest)
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / digest
        place.write_bytes(content)
        return place

    def open(self, digest: str) -> BinaryIO:
        return BytesIO(self.get(digest))

    def peek(self, digest: str, size: int) -> bytes:
        return self._kept.get(digest, b"")[:size]

    def has(self, digest: str) -> bool:
        return digest in self._kept

    def size(self, digest: str) -> int:
        return len(self.get(digest))

    def kept(self) -> Iterator[Kept]:
        return iter([Kept(digest, len(content), self._used_at[digest]) for digest, content in self._kept.items()])

    def remove(self, digest: str, before: float) -> int:
        if self._used_at.get(digest, before) >= before:
            return 0
        del self._used_at[digest]
        return len(self._kept.pop(digest))

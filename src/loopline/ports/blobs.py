"""Where bytes are kept under the name of their content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class Kept(NamedTuple):
    """Bytes that are kept: how many, and when they were last put or asked for (Unix seconds)."""

    digest: str
    size: int
    used_at: float


class Blobs(Protocol):
    """A digest is 64 hexadecimal digits of BLAKE3. Guarantees: what `put` answered survives a power cut, as does what
    was adopted or taken before `settle` answered; bytes read match their digest. Errors: NotFound for an unknown digest or one
    whose bytes no longer match it; Unavailable when bytes cannot be written."""

    def put(self, content: bytes) -> str:
        """Keep bytes, answer their digest."""

    def put_file(self, path: Path) -> str:
        """Keep a file's bytes (streamed), answer their digest."""

    def adopt(self, digest: str, path: Path) -> None:
        """Take a finished file over from the one who wrote it and took its digest: it is gone from `path` afterwards, can
        be read from here at once, and is written out beside whatever goes on. `settle` waits for that."""

    def take(self, content: bytes) -> str:
        """Keep bytes as `put` does, but as lastingly as `adopt`: only once `settle` has answered."""

    def settle(self) -> None:
        """Wait until all that was adopted or taken survives a power cut; Unavailable when some of it cannot, which is dropped."""

    def get(self, digest: str) -> bytes:
        """The bytes, checked against the digest."""

    def path(self, digest: str) -> Path:
        """A local read-only file holding the bytes, checked against the digest."""

    def open(self, digest: str) -> BinaryIO:
        """A stream over `path`."""

    def peek(self, digest: str, size: int) -> bytes:
        """The first `size` bytes, not checked; looking at them is not asking for them (see `remove`). b"" for unknown."""

    def has(self, digest: str) -> bool:
        """Whether the bytes are there (not checked)."""

    def size(self, digest: str) -> int:
        """How many bytes."""

    def kept(self) -> Iterator[Kept]:
        """All that is kept, in no order."""

    def remove(self, digest: str, before: float) -> int:
        """Forget bytes, unless they were put or asked for (`get`, `path`, `open`) since `before` (Unix seconds); answers
        how many bytes that freed."""

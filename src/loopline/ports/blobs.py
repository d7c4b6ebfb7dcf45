"""Where bytes are kept under the name of their content."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class Blobs(Protocol):
    """A digest is 64 hexadecimal digits of BLAKE3. Guarantees: what `put` answered survives a power cut; bytes read
    match their digest. Errors: NotFound for an unknown digest or one whose bytes no longer match it."""

    def put(self, content: bytes) -> str:
        """Keep bytes, answer their digest."""

    def put_file(self, path: Path) -> str:
        """Keep a file's bytes (streamed), answer their digest."""

    def get(self, digest: str) -> bytes:
        """The bytes, checked against the digest."""

    def path(self, digest: str) -> Path:
        """A local read-only file holding the bytes, checked against the digest."""

    def open(self, digest: str) -> BinaryIO:
        """A stream over `path`."""

    def has(self, digest: str) -> bool:
        """Whether the bytes are there (not checked)."""

    def size(self, digest: str) -> int:
        """How many bytes."""

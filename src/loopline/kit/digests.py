"""Digests of files of any size, in little memory."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

PIECE = 1 << 22
_THREADED = 1 << 23  # several threads pay from here on


def file_digest(path: Path) -> str:
    """BLAKE3 of a file's bytes as 64 hexadecimal digits. Read and not mapped: a file that is cut short meanwhile must not
    end the process."""
    with open(path, "rb", buffering=0) as file:
        size = file.seek(0, 2)
        file.seek(0)
        found = blake3(max_threads=blake3.AUTO if size >= _THREADED else 1)
        buffer = memoryview(bytearray(min(PIECE, max(size, 1))))
        while count := file.readinto(buffer):
            found.update(buffer[:count])
    return str(found.hexdigest())

"""Append-only files of blocks, each with its length and checksum, so that a torn end is seen and left out.

A segment is locked while it is written to (a crash frees it); one that nobody holds is closed and may be sealed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from loopline.kit.durable import make_folder, sync_folder

MAGIC = b"LOOPSEG1"
PREFIX = struct.Struct("<II")
LARGEST_BLOCK = 1 << 28
SUFFIX = ".seg"
MARKER = ".close"  # a file whose time says: close the segments that were opened before

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


class Inputs(msgspec.Struct, frozen=True):
    """A column as a segment's header has it; `kind` as in columns.kind_of."""

    name: str
    type: str
    kind: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What all records of a segment share. For truth only `kind`, `endpoint` and `writer` say something.

    `inputs` are those that are logged; `redact` names those that never are. `sample` is the share of requests logged.
    """

    kind: str
    endpoint: str
    writer: int
    revision: int = 0
    model: str = ""
    version: int = 0
    inputs: tuple[Inputs, ...] = ()
    output: str = "d"
    rules: str | None = None
    sample: float = 1.0
    redact: tuple[str, ...] = ()


class Segment:
    """A segment being written. Not safe for several threads at once."""

    def __init__(self, folder: Path, name: str, header: Header) -> None:
        make_folder(folder, 0o700)
        self.path = folder / f"{name}{SUFFIX}"
        hidden = folder / f".{name}.{os.getpid()}.tmp"
        self._handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held before the name can be seen
            self.size = write_all(self._handle, MAGIC + framed(encode(header)))
            os.fsync(self._handle)
            os.rename(hidden, self.path)
            sync_folder(folder)
        except BaseException:
            os.close(self._handle)
            hidden.unlink(missing_ok=True)
            raise
        self.opened = time.monotonic()
        self._born = time.time_ns()
        self._marker = folder / MARKER
        self.rows = 0

    def append(self, payload: bytes, rows: int) -> None:
        """Write one block and fsync it. After an OSError the file is as before, and must be closed."""
        try:
            written = write_all(self._handle, framed(payload))
            os.fdatasync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self.size)
            raise
        self.size += written
        self.rows += rows

    def is_due(self, most_bytes: int, oldest_s: float) -> bool:
        """Whether it is large or old enough to be sealed, or somebody asked for that."""
        if self.size > most_bytes or time.monotonic() - self.opened > oldest_s:
            return True
        try:
            return os.stat(self._marker).st_mtime_ns >= self._born
        except OSError:
            return False

    def close(self) -> None:
        """Free the segment for sealing."""
        os.close(self._handle)


def framed(payload: bytes) -> bytes:
    """The payload with its length and checksum before it."""
    return PREFIX.pack(len(payload), zlib.crc32(payload)) + payload


def write_all(handle: int, content: bytes) -> int:
    """Write everything; answers how many bytes."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
    return len(content)


def closed(path: Path) -> int | None:
    """A handle that holds the lock of a segment nobody writes to; None while somebody does or when it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def blocks(content: bytes) -> Iterator[bytes]:
    """The whole blocks of a segment's bytes, up to the first that is torn or damaged."""
    if not content.startswith(MAGIC):
        return
    view, place = memoryview(content), len(MAGIC)
    while place + PREFIX.size <= len(view):
        length, checksum = PREFIX.unpack_from(view, place)
        place += PREFIX.size
        payload = view[place : place + length]
        if len(payload) < length or length > LARGEST_BLOCK or zlib.crc32(payload) != checksum:
            return
        yield bytes(payload)
        place += length


def read(path: Path) -> tuple[Header, list[list[Any]]] | None:
    """Header and decoded blocks of a segment; None when not even its header is whole."""
    found = blocks(path.read_bytes())
    first = next(found, None)
    if first is None:
        return None
    return msgspec.msgpack.decode(first, type=Header), [decode(block) for block in found]


def mark(*folders: Path) -> str:
    """A text that differs once files in these folders came, went or grew."""
    summed = 0
    for folder in folders:
        for name in names(folder, ""):
            with contextlib.suppress(FileNotFoundError):
                summed = zlib.crc32(f"{name} {(folder / name).stat().st_size}".encode(), summed)
    return f"{summed:08x}"


def names(folder: Path, suffix: str = SUFFIX) -> list[str]:
    """The files of that kind in a folder, sorted; none when there is no folder."""
    try:
        found: Iterable[str] = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if name.endswith(suffix) and not name.startswith("."))

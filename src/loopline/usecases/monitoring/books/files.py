"""Small files that are whole or not there: a magic word, a checksum, then msgpack."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TypeVar

import msgspec

from loopline.kit.durable import make_folder, write_file

MAGIC = b"LOOPBOOK"
Kept = TypeVar("Kept")
_encode = msgspec.msgpack.Encoder().encode


def put(path: Path, value: object) -> None:
    """Write a value; a crash leaves the old file or the new one."""
    payload = _encode(value)
    make_folder(path.parent, 0o700)
    write_file(path, MAGIC + zlib.crc32(payload).to_bytes(4, "little") + payload, 0o600)


def get(path: Path, kind: type[Kept]) -> Kept | None:
    """The value that was written; None where there is none that is whole and of this kind."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    payload = content[len(MAGIC) + 4 :]
    if not content.startswith(MAGIC) or zlib.crc32(payload).to_bytes(4, "little") != content[len(MAGIC) :][:4]:
        return None
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except msgspec.DecodeError:
        return None

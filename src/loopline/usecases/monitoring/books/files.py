"""Small files with a magic word, a checksum, then msgpack. What is damaged counts as not there, and is made again."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TypeVar

import msgspec

from loopline.kit.durable import make_folder, temporary_name, write_file

MAGIC = b"LOOPBOOK"
Kept = TypeVar("Kept")
_encode = msgspec.msgpack.Encoder().encode


def put(path: Path, value: object, durable: bool = True) -> None:
    """Write a value. A crash leaves the old file or the new one; where it need not be `durable` a power cut may leave a
    damaged one, which costs less than waiting for the disk each time."""
    payload = _encode(value)
    content = MAGIC + zlib.crc32(payload).to_bytes(4, "little") + payload
    make_folder(path.parent, 0o700)
    if durable:
        write_file(path, content, 0o600)
        return
    hidden = path.with_name(temporary_name(path.name))
    hidden.write_bytes(content)
    hidden.replace(path)


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

"""Messages of Protocol Buffers, field by field, without their library and without building anything.

Source: https://protobuf.dev/programming-guides/encoding. Every length is held against the bytes that are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Value = int | bytes
# Runs of floats (field 7) and integers (field 8) in an ONNX attribute, which may be millions: passed over in one go.
NUMBERS = re.compile(rb"(?:\x3d.{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f])+", re.S)


def fields(content: bytes, skip: re.Pattern[bytes] | None = None) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field of a message: integers, and bytes of texts, messages and fixed numbers. What `skip`
    matches at the begin of a field is passed over. ValueError for what is no message."""
    at, end = 0, len(content)
    while at < end:
        run = skip.match(content, at) if skip is not None else None
        if run is not None:
            at = run.end()
            continue
        tag, at = varint(content, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(content, at)
            yield number, value
            continue
        size, at = (8, at) if kind == 1 else (4, at) if kind == 5 else varint(content, at) if kind == 2 else (-1, at)
        if size < 0 or number < 1 or at + size > end:
            raise ValueError("a field is of an unknown kind or ends too early")
        yield number, content[at : at + size]
        at += size


def varint(content: bytes, at: int) -> tuple[int, int]:
    """The integer that begins at a place, and where it ends."""
    found = 0
    for place in range(10):
        if at + place >= len(content):
            break
        byte = content[at + place]
        found |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return found, at + place + 1
    raise ValueError("a number ends too early")


def signed(value: int) -> int:
    """A 64-bit integer of two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value


def message(value: Value) -> bytes:
    """A field that must be a message or bytes."""
    if not isinstance(value, bytes):
        raise ValueError("a message is a number")
    return value


def number(value: Value) -> int:
    """A field that must be an integer."""
    if not isinstance(value, int):
        raise ValueError("a number is a message")
    return value


def text(value: Value) -> str:
    """A field that must be a text."""
    return message(value).decode()

"""Messages between the router and a model's process: msgpack with its length before it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

PREFIX = struct.Struct("<I")
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode
READ_BYTES = 1 << 18
READY, FAILED = "ready", "failed"


def framed(message: Any) -> bytes:
    """A message as bytes on the socket."""
    content = encode(message)
    return PREFIX.pack(len(content)) + content


class Reader:
    """Collects bytes into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are whole now."""
        held = self._bytes
        held += data
        while len(held) >= PREFIX.size:
            end = PREFIX.size + PREFIX.unpack_from(held)[0]
            if len(held) < end:
                return
            message = decode(memoryview(held)[PREFIX.size : end])
            del held[:end]
            yield message


def receive(connection: socket.socket) -> Any:
    """The next message; EOFError when the other side is gone."""
    length = PREFIX.unpack(_exactly(connection, PREFIX.size))[0]
    return decode(_exactly(connection, length))


def messages(connection: socket.socket) -> Iterator[Any]:
    """All messages, one after the other, with one call of the system for each small one; EOFError when the other side is
    gone. Nothing else may read from the socket."""
    reader = Reader()
    while data := connection.recv(READ_BYTES):
        yield from reader.feed(data)
    raise EOFError


def _exactly(connection: socket.socket, count: int) -> bytearray:
    held = bytearray(count)
    view = memoryview(held)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return held

"""The inside of a worker process: reads calls from one pipe, writes outcomes to another."""

from __future__ import annotations

import logging
import os
import struct
import sys
import warnings
from typing import BinaryIO

import msgspec

from loopline.adapters.executors.calling import Warned, called, out_of_memory, tail
from loopline.adapters.executors.measuring import Peak, limited
from loopline.ports.executor import Call, Outcome

LENGTH = struct.Struct("<Q")
READY = LENGTH.pack(0)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Call).decode


class Forgetful(Warning):
    """Nothing warns with this: a new filter for it makes Python show each warning again, once a place and call."""


def serve(calls: int, outcomes: int, log: int) -> None:
    """Serve until the pipe ends."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    reader, server = os.fdopen(calls, "rb", buffering=1 << 16), Server(log)
    write_all(outcomes, READY)
    while content := received(reader):
        answer = _encode(server.outcome(_decode(content)))
        write_all(outcomes, LENGTH.pack(len(answer)) + answer)


def received(reader: BinaryIO) -> bytes:
    """The bytes of the next call, or nothing at the end."""
    head = reader.read(LENGTH.size)
    return reader.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""


def write_all(file: int, content: bytes) -> None:
    """Write everything, in as many pieces as the pipe takes."""
    written = os.write(file, content)
    while written < len(content):
        written += os.write(file, memoryview(content)[written:])


class Server:
    """Runs calls with everything measured that a process of its own allows."""

    def __init__(self, log: int) -> None:
        self._log = log
        self._peak = Peak()
        self._warned = Warned()
        warnings.showwarning = self._warned.show

    def outcome(self, call: Call) -> Outcome:
        """Run a call with the log emptied before and read after."""
        if os.fstat(self._log).st_size:
            os.ftruncate(self._log, 0)
        warnings.simplefilter("default", Forgetful)
        if not call.memory:
            return called(call, self._flushed, self._peak.taken, self._warned.taken)
        return self._limited(call)

    def _limited(self, call: Call) -> Outcome:
        lift = limited(call.memory)
        try:
            return called(call, lambda: (lift(), self._flushed())[1], self._peak.taken, self._warned.taken)
        except MemoryError as failure:  # not even its traceback found room
            lift()
            error, hint = out_of_memory(call, failure)
            return Outcome(error=error, hint=hint, reason="memory", log=self._flushed(), max_rss=self._peak.taken())
        finally:
            lift()

    def _flushed(self) -> bytes:
        """Everything written to the log so far; standard output and error are both this file, opened for appending."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):  # the code closed or replaced it
                continue
        size = os.fstat(self._log).st_size
        if not size:
            return b""
        start = max(0, size - (2 << 20))
        return tail(os.pread(self._log, size - start, start))

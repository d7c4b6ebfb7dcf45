"""The inside of a worker process: reads calls from one pipe, writes outcomes to another, and dies with its owner."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from loopline.adapters.executors.calling import called, peak_rss, tail
from loopline.ports.executor import Call, Outcome

LENGTH = struct.Struct("<Q")
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Serve until the pipe ends."""
    calls, outcomes, log, owner = (int(value) for value in sys.argv[1:5])
    die_with(owner)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the owner decides
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.captureWarnings(True)
    reader, writer = os.fdopen(calls, "rb"), os.fdopen(outcomes, "wb")
    while content := received(reader):
        answer = msgspec.msgpack.encode(measured(msgspec.msgpack.decode(content, type=Call), log))
        writer.write(LENGTH.pack(len(answer)) + answer)
        writer.flush()


def received(reader: BinaryIO) -> bytes:
    """The bytes of the next call, or nothing at the end."""
    head = reader.read(LENGTH.size)
    return reader.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""


def measured(call: Call, log: int) -> Outcome:
    """Run a call with the log emptied before and read after."""
    os.ftruncate(log, 0)
    reset_peak()
    return called(call, lambda: flushed(log), peak)


def flushed(log: int) -> bytes:
    """Everything written to the log so far; standard output and error are both this file, opened for appending."""
    sys.stdout.flush()
    sys.stderr.flush()
    size = os.fstat(log).st_size
    return tail(os.pread(log, size, 0))


def die_with(owner: int) -> None:
    """Have the kernel end this process with the thread that started it; elsewhere the end of the pipe does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != owner:
        os._exit(1)


def reset_peak() -> None:
    """Begin counting peak memory anew, where the kernel can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> int:
    """Peak memory in bytes since it was reset."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration, ValueError):
        return peak_rss()


if __name__ == "__main__":
    main()

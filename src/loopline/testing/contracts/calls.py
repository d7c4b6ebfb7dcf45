"""What executors are asked to call when they prove themselves, and how they are asked. Needs Python alone: interpreters
that know no test library import it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import msgspec

from loopline.core.errors import Invalid
from loopline.ports.executor import Call, Executor, Outcome, handed, here, scratch

HERE = "loopline.testing.contracts.calls"


def echo(payload: bytes) -> bytes:
    """Answer what came."""
    return payload


def talk(payload: bytes) -> bytes:
    """Print, complain and log."""
    print("said", payload.decode())
    print("complained", file=sys.stderr)
    thread = threading.Thread(target=logging.getLogger("step").info, args=("beside",))
    thread.start()
    thread.join()
    logging.getLogger("step").info("logged")
    return b"done"


def fail(payload: bytes) -> bytes:
    """Raise what is no refusal."""
    raise ZeroDivisionError(payload.decode())


def mumble(payload: bytes) -> bytes:
    """Raise what cannot even say itself."""

    class Mumbling(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    raise Mumbling


def refuse(payload: bytes) -> bytes:
    """Raise a refusal."""
    raise Invalid("The table has no rows.", "Give it some.")


def leave(payload: bytes) -> bytes:
    """Call sys.exit as a script would."""
    sys.exit(3)


def burn(payload: bytes) -> bytes:
    """Use CPU for as many seconds as asked."""
    until = time.process_time() + float(payload)
    while time.process_time() < until:
        pass
    return b""


def vanish(payload: bytes) -> bytes:
    """End the process with the signal asked for."""
    print("last words", flush=True)
    os.kill(os.getpid(), int(payload))
    time.sleep(5)
    return b""


def kill_parents(payload: bytes) -> bytes:
    """Send a signal to the process above the guards of this one."""
    pid = os.getpid()
    for _ in range(3):
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(pid, int(payload))
    time.sleep(5)
    return b""


def process(payload: bytes) -> bytes:
    """Answer which process this is, after waiting as asked."""
    time.sleep(float(payload or b"0"))
    return msgspec.json.encode(os.getpid())


def hoard(payload: bytes) -> bytes:
    """Ask for as many megabytes as said, and answer how many were got."""
    return str(len(bytearray(int(payload) << 20)) >> 20).encode()


def family(payload: bytes) -> bytes:
    """Have two processes hold the megabytes said, each for itself."""
    code = f"import time; held = b'x' * ({int(payload)} << 20); time.sleep(60)"
    children = [subprocess.Popen([sys.executable, "-S", "-c", code]) for _ in range(2)]
    return str(children[0].wait()).encode()


def interpreter(payload: bytes) -> bytes:
    """The environment that the interpreter belongs to."""
    return sys.prefix.encode()


def warn(payload: bytes) -> bytes:
    """Issue the same warning twice, and another one."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn("old way", UserWarning, stacklevel=1)
        warnings.warn("older way", RuntimeWarning, stacklevel=1)
    return b""


def variable(payload: bytes) -> bytes:
    """The environment variable of that name."""
    return os.environ.get(payload.decode(), "unset").encode()


def span(payload: bytes) -> bytes:
    """Answer when this began and ended, by the machine's clock; it takes as many seconds as said."""
    began = time.monotonic()
    time.sleep(float(payload))
    return msgspec.json.encode([began, time.monotonic()])


def parent(payload: bytes) -> bytes:
    """Start a process in a session of its own, say which, and wait or answer as asked."""
    other = subprocess.Popen(["sleep", "120"], start_new_session=True)
    print("pid", other.pid, flush=True)
    time.sleep(float(payload))
    return str(other.pid).encode()


def whisper(payload: bytes) -> bytes:
    """Print a word, then wait for as many seconds as said."""
    print("first words")
    time.sleep(float(payload))
    return b""


def carry(payload: bytes) -> bytes:
    """Read a file of the caller and one of its project, hand over another."""
    place, project, folder = msgspec.json.decode(payload, type=list[str])
    read = Path(here(place)).read_text() + Path(here(project), "part.py").read_text()
    made = Path(scratch(), "deep", "made.txt")
    made.parent.mkdir(parents=True)
    made.write_text(read.upper())
    assert here(folder) == scratch()
    return handed(str(made)).encode()


def outcome(executor: Executor, target: str, payload: bytes = b"", label: str = "train") -> Outcome:
    """What becomes of one call of a function of this module."""
    return executor.submit(Call(target=f"{HERE}:{target}", payload=payload, label=label)).result(timeout=60)


def submitted(executor: Executor, target: str, payload: bytes = b"", **limits: object) -> Outcome:
    """What becomes of one call of a function of this module, with limits."""
    call = msgspec.structs.replace(Call(target=f"{HERE}:{target}", payload=payload, label="the step train"), **limits)
    return executor.submit(call).result(timeout=60)


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something becomes true in time."""
    until = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

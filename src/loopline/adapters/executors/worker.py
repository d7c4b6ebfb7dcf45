"""A worker process as its owner sees it: a pipe each way, a file for what it prints, and a guard that ends it."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import IO

from loopline.adapters.executors import guard
from loopline.adapters.executors.calling import LOG_BYTES, tail
from loopline.adapters.executors.child import LENGTH
from loopline.kit.processes import PATIENT_THREADS

Key = tuple[str, tuple[tuple[str, str], ...]]
"""What a worker was started for: its interpreter (empty: this one) and the variables set beside ours."""
_CHUNK = 1 << 18


class Worker:
    """A process that serves one call at a time. Not for two threads at once; started by one that lives as long as it."""

    def __init__(self, key: Key, package: str, guards: int) -> None:
        self.key = key
        self.ready = False
        self.doomed = False
        self.unsent = b""
        self._size = 0
        self._received = bytearray()
        self._log: IO[bytes] = tempfile.TemporaryFile("a+b", prefix="loopline-log-")  # noqa: SIM115  (lives as long)
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)  # the log is emptied while both ends hold it open
        calls, self.calls = os.pipe()
        self.outcomes, outcomes = os.pipe()
        os.set_blocking(self.calls, False)
        try:
            self._process = self._started(calls, outcomes, guards, package)
        except BaseException:
            os.close(self.calls)
            os.close(self.outcomes)
            self._log.close()
            raise
        finally:
            os.close(calls)
            os.close(outcomes)

    @property
    def pid(self) -> int:
        """The guard's process."""
        return self._process.pid

    def _started(self, calls: int, outcomes: int, guards: int, package: str) -> subprocess.Popen[bytes]:
        log = self._log.fileno()
        python, variables = self.key
        names = [str(number) for number in (calls, outcomes, log, os.getpid(), guards)]
        return subprocess.Popen(
            [python or sys.executable, "-P", str(Path(guard.__file__)), *names, package],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(calls, outcomes, log),
            process_group=0,
            env=PATIENT_THREADS | surroundings(python) | dict(variables) | {"PYTHONHASHSEED": "0"},
        )

    def send(self, content: bytes) -> bool:
        """Hand a call over as far as the pipe takes it now; answers whether that is all. BrokenPipeError when the
        process has ended."""
        if content:
            self.unsent = LENGTH.pack(len(content)) + content
            self._size = len(self.unsent)
        with contextlib.suppress(BlockingIOError):
            self.unsent = self.unsent[os.write(self.calls, self.unsent) :]
        return not self.unsent

    def untouched(self) -> bool:
        """Whether the process ended before it read anything of its call."""
        waiting = array.array("i", [0])
        fcntl.ioctl(self.calls, termios.FIONREAD, waiting)
        return waiting[0] + len(self.unsent) >= self._size

    def received(self) -> list[bytes] | None:
        """What came since: outcomes, empty when it is ready to begin; None at its end."""
        content = os.read(self.outcomes, _CHUNK)
        if not content:
            return None
        self._received += content
        found = []
        while len(self._received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                break
            found.append(bytes(self._received[LENGTH.size : end]))
            del self._received[:end]
        return found

    def log(self) -> bytes:
        """What it has printed during this call, its last megabyte."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - LOG_BYTES - 1)
        return tail(os.pread(self._log.fileno(), size - start, start))

    def kill(self) -> None:
        """Have the guard end the process and everything that it started."""
        self.doomed = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM if sys.platform == "linux" else signal.SIGKILL)

    def end(self) -> int:
        """Wait for its end, take everything away; answers its exit code."""
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # something below it cannot be killed now
            self._process.kill()
            code = self._process.wait()
        if sys.platform != "linux":  # there is no guard
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        os.close(self.calls)
        os.close(self.outcomes)
        self._log.close()
        return code


def surroundings(python: str) -> dict[str, str]:
    """Our environment; for another interpreter without what points ours to its modules."""
    if not python:
        return dict(os.environ)
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }

"""Calls in this process, one after the other: for tests, notebooks and steps too small to send away."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import TextIO

from loopline.adapters.executors.calling import Warned, called, peak_rss, tail
from loopline.ports.executor import Call, Outcome

_FORMAT = logging.Formatter("%(levelname)s %(name)s: %(message)s")


class Inline:
    """Runs each call at once in `submit`. A crash of the code is a crash of this process, which is also why limits of
    time and memory do not hold here."""

    slots = 1

    def submit(self, call: Call) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        if call.python not in ("", sys.executable):
            future.set_result(elsewhere(call))
            return future
        printed = Heard(sys.stdout) if sys.stdout.isatty() else io.StringIO()
        warned = Warned()
        with environment(call.environment), hearing(printed), warned.counting():
            outcome = called(call, lambda: tail(printed.getvalue().encode()), peak_rss, warned.taken)
        future.set_result(outcome)
        return future

    def stop(self, future: Future[Outcome]) -> None:
        """Nothing: `submit` answers only when the call has ended."""

    def log(self, future: Future[Outcome]) -> bytes:
        """Nothing: no call runs while somebody asks."""
        return b""

    def close(self) -> None:
        """Nothing is left to end."""


def elsewhere(call: Call) -> Outcome:
    """The refusal of a call for another interpreter."""
    error = f"{call.label or 'A call'} needs the interpreter {call.python}, which is not this process's."
    return Outcome(error=error, hint="Use the executor processes.", kind="invalid")


class Heard(io.StringIO):
    """Keeps what is printed and lets it through, so that a debugger can be used on a terminal."""

    def __init__(self, screen: TextIO) -> None:
        super().__init__()
        self._screen = screen

    def write(self, text: str) -> int:
        self._screen.write(text)
        return super().write(text)

    def flush(self) -> None:
        self._screen.flush()

    def isatty(self) -> bool:
        return True


class Listener(logging.Handler):
    """Writes the log records of one thread to a stream."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(_FORMAT)
        self._heard = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        stream = getattr(self._heard, "stream", None)
        if stream is not None:
            stream.write(self.format(record) + "\n")

    def hear(self, stream: io.StringIO | None) -> io.StringIO | None:
        """Write to this stream from now on; answers the one before."""
        before = getattr(self._heard, "stream", None)
        self._heard.stream = stream
        return before


_listener = Listener()


@contextlib.contextmanager
def hearing(stream: io.StringIO) -> Iterator[None]:
    """Send what is printed, and log records of level INFO and above, to `stream`."""
    root = logging.getLogger()
    level, before = root.level, _listener.hear(stream)
    if _listener not in root.handlers:
        root.addHandler(_listener)
    if level > logging.INFO:
        root.setLevel(logging.INFO)
    out, err = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = stream
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        _listener.hear(before)
        if before is None:
            root.removeHandler(_listener)
        if level > logging.INFO:
            root.setLevel(level)


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have these variables set for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

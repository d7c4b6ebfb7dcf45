"""Calls in this process, one after the other: for tests, notebooks and steps too small to send away."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TextIO

from loopline.adapters.executors.calling import called, peak_rss, tail
from loopline.ports.executor import Call, Outcome


class Inline:
    """Runs each call at once in `submit`. A crash of the code is a crash of this process."""

    slots = 1

    def submit(self, call: Call) -> Future[Outcome]:
        printed = Heard(sys.stdout) if sys.stdout.isatty() else io.StringIO()
        future: Future[Outcome] = Future()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), logged(printed):
            outcome = called(call, lambda: tail(printed.getvalue().encode()), peak_rss)
        future.set_result(outcome)
        return future

    def stop(self, future: Future[Outcome]) -> None:
        """Nothing: `submit` answers only when the call has ended."""

    def log(self, future: Future[Outcome]) -> bytes:
        """Nothing: no call runs while somebody asks."""
        return b""

    def close(self) -> None:
        """Nothing is left to end."""


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


@contextlib.contextmanager
def logged(stream: io.StringIO) -> Iterator[None]:
    """Send log records of level INFO and above to `stream`."""
    listener = logging.StreamHandler(stream)
    listener.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        root.removeHandler(listener)
        root.setLevel(level)

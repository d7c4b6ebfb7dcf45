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

_nothing = contextlib.nullcontext()
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
        around = environment(call.environment) if call.environment else _nothing
        with around, hearing(printed), warned.counting():
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
    """Writes log records to the stream of the call they come from: of its thread, or of the only call there is."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(_FORMAT)
        self._attaching = threading.Lock()
        self._streams: dict[int, io.StringIO] = {}

    def emit(self, record: logging.LogRecord) -> None:
        streams = self._streams
        stream = streams.get(record.thread or 0) or (next(iter(streams.values()), None) if len(streams) == 1 else None)
        if stream is not None:
            stream.write(self.format(record) + "\n")

    def hear(self, stream: io.StringIO | None) -> io.StringIO | None:
        """Write what this thread logs to this stream from now on; answers the one before."""
        thread = threading.get_ident()
        with self._attaching:
            before = self._streams.pop(thread, None)
            if stream is not None:
                self._streams[thread] = stream
            if not self._streams:
                logging.root.removeHandler(self)
            elif before is None:
                logging.root.addHandler(self)
        return before


_listener = Listener()


@contextlib.contextmanager
def hearing(stream: io.StringIO) -> Iterator[None]:
    """Send what is printed, and log records of level INFO and above, to `stream`."""
    root = logging.getLogger()
    before, level = _listener.hear(stream), lowered(root)
    out, err = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = stream
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        _listener.hear(before)
        if level > logging.INFO:
            root.setLevel(level)


def lowered(root: logging.Logger) -> int:
    """Have INFO come through; answers the level to set back. Where nobody but us listens it stays, as nobody could
    notice: every change makes Python go through all loggers, which costs more than a small step."""
    level = root.level
    if level <= logging.INFO:
        return logging.NOTSET
    unheard = all(handler is _listener for handler in root.handlers)
    root.setLevel(logging.INFO)
    return logging.NOTSET if unheard else level


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

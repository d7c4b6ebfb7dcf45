"""What is printed, as artifacts logs/stdout.txt and logs/stderr.txt that grow while the run lives.

Python's streams are heard, not the file descriptors: what a C library prints by itself is not kept. Secrets are masked,
lines that were written over (progress bars) are kept as they stood last, colours are taken out.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from typing import Any

from loopline.usecases.tracking.surroundings import clean

PORTION = 64 << 10  # characters in one artifact; what follows goes to the next, logs/stdout-2.txt
MOST_PORTIONS = 100
WAITS = (1, 2, 4, 8, 10)  # seconds between two sendings of a portion that grows
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_guard = threading.Lock()
_tees: dict[str, Tee] = {}


class Tee:
    """Stands in the place of a stream and does what it does; what is written is also heard by `listeners`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._process = os.getpid()
        self.listeners: list[deque[str]] = []

    def write(self, text: str) -> Any:
        """Write, then tell it."""
        written = self._stream.write(text)
        if self.listeners and self._process == os.getpid():
            for one in self.listeners:
                one.append(text)
        return written

    def writelines(self, lines: Any) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)


class Folded:
    """Text as a terminal would show it: a carriage return begins the line again, colours do not show."""

    def __init__(self) -> None:
        self.portions: list[str] = []
        self._lines: list[str] = []
        self._size = 0
        self._last = ""

    def feed(self, text: str) -> None:
        """Take in more."""
        whole = _ESCAPES.sub("", (self._last + text).replace("\r\n", "\n"))
        *lines, last = whole.split("\n")
        for line in lines:
            self._take(line.rstrip("\r").rpartition("\r")[2] + "\n")
        kept, mark, fresh = last.rpartition("\r")
        self._last = fresh if fresh or not mark else kept.rpartition("\r")[2] + "\r"
        if len(self._last) > PORTION:
            self._take(self._last)
            self._last = ""

    def shown(self) -> str:
        """The portion that still grows, with the line that has no end yet."""
        return "".join(self._lines) + self._last.rstrip("\r")

    def _take(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= PORTION:
            self.portions.append("".join(self._lines))
            self._lines, self._size = [], 0


class Listening:
    """One stream of one run."""

    def __init__(self, run: Any, name: str) -> None:
        self._run = run
        self._name = name
        self._text = Folded()
        self._heard: deque[str] = deque()
        self._sent = 0
        self._before = ""
        self._wait = 0
        self._due = 0
        tee_of(name).listeners.append(self._heard)

    def tick(self, last: bool = False) -> None:
        """Send what is new: portions that are full once, the one that grows less and less often."""
        while self._heard:
            self._text.feed(self._heard.popleft())
        while self._sent < len(self._text.portions):
            self._send(self._text.portions[self._sent])
            self._text.portions[self._sent] = ""
            self._sent += 1
            self._wait = self._due = 0
        shown = self._text.shown()
        self._due -= 1
        if shown and shown != self._before and (last or self._due <= 0):
            self._send(shown)
            self._before = shown
            self._due = WAITS[min(self._wait, len(WAITS) - 1)]
            self._wait += 1

    def stop(self) -> None:
        """Hear no more and send the rest."""
        let_go(self._name, self._heard)
        self.tick(last=True)

    def _send(self, text: str) -> None:
        if self._sent > MOST_PORTIONS:
            return
        if self._sent == MOST_PORTIONS:
            text = "What follows is left out.\n"
        number = f"-{self._sent + 1}" if self._sent else ""
        self._run.keep(f"logs/{self._name}{number}.txt", clean(text), "text/plain")


class Output:
    """Both streams of one run."""

    def __init__(self, run: Any) -> None:
        self._streams = [Listening(run, name) for name in ("stdout", "stderr")]

    def tick(self) -> None:
        """Send what is new."""
        for one in self._streams:
            one.tick()

    def stop(self) -> None:
        """Put the streams back and send the rest."""
        for one in self._streams:
            one.stop()


def tee_of(name: str) -> Tee:
    """The tee in the place of sys.stdout or sys.stderr, put there when it is not."""
    with _guard:
        tee = _tees.get(name)
        if tee is None or getattr(sys, name) is not tee:
            tee = _tees[name] = Tee(getattr(sys, name))
            setattr(sys, name, tee)
        return tee


def let_go(name: str, listener: deque[str]) -> None:
    """Take a listener off; the last one puts the stream back, unless somebody else has put another in its place."""
    with _guard:
        for tee in {id(one): one for one in (_tees.get(name), getattr(sys, name)) if isinstance(one, Tee)}.values():
            tee.listeners = [one for one in tee.listeners if one is not listener]
            if not tee.listeners and getattr(sys, name) is tee:
                setattr(sys, name, tee._stream)
                _tees.pop(name, None)


def begin(run: Any) -> Output:
    """Begin for a run."""
    return Output(run)

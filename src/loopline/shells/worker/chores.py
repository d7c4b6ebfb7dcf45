"""Work that needs arrays or takes long: evaluating monitors, sealing logs, clearing up once a day, in a child that is kept
warm while there is news."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopline.usecases.serving.records.layout import changed
from loopline.usecases.serving.records.segments import SUFFIX, closed

LOOK_S, QUICK_S = 0.5, 0.1
SEAL_S = 10.0
WARM_S = 15.0
FIRST_CLEARING_S = 600.0  # not while everything starts
KEPT = ("seal", "clear", "judge", "compile")  # what other rules change nothing about
PROMPT = ("judge", "compile")
FAILURES = 3
SPARING, MOST_WAITING = 20.0, 100
# Several threads of BLAS wait for each other by spinning, beside processes that answer requests; arrays here are small.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
REST = 2.0  # an evaluation is followed by a rest this many times as long as it kept a processor busy
Stamp = tuple[tuple[str, int, int], ...]
log = logging.getLogger("loopline.worker")


class Chores:
    """Notices by names, sizes and times of the log files what there is to do, and has the child do it, one thing at a
    time."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._child: Child | None = None
        self._doing: tuple[str, float] | None = None
        self._done: dict[str, Stamp] = {}
        self.asked: Sequence[str] = ()  # ids of questions that need models
        self.uncompiled: Sequence[str] = ()  # versions for which no engine was chosen yet
        self._not_before: dict[str, float] = {"clear": time.monotonic() + FIRST_CLEARING_S}
        self._next_look = 0.0
        self._waiting: list[tuple[str, Stamp]] = []  # of the last look, to be done before the next
        self._idle_since = 0.0
        self._failures: dict[str, list[str]] = {}

    def look(self) -> None:
        """Take the child's answer, give it the next thing to do, end it when it has been idle for long."""
        now = time.monotonic()
        if self._child is not None and not self._answered(self._child, now):
            return
        if self._waiting and not self.asked:
            self._ask(*self._waiting.pop(0), now)
            return
        if now < self._next_look:
            return
        ready = self._ready(now)
        # Where a thousand endpoints are looked at, that is not done all the time.
        self._next_look = now + max(QUICK_S if self.asked else LOOK_S, SPARING * (time.monotonic() - now))
        if ready:
            self._ask(*ready[0], now)
            self._waiting = [one for one in ready[1:] if one[0].startswith("evaluate ")][:MOST_WAITING]
        elif self._child is not None and now - self._idle_since > WARM_S:
            self.close()

    def look_again(self) -> None:
        """Evaluate everything once more: rules have changed."""
        self._done = {name: stamp for name, stamp in self._done.items() if name in KEPT}

    def failing(self) -> dict[str, str]:
        """Endpoints whose evaluations failed several times in a row, with the last error."""
        return {
            name.partition(" ")[2]: errors[-1]
            for name, errors in self._failures.items()
            if name.startswith("evaluate ") and len(errors) >= FAILURES
        }

    def close(self) -> None:
        """End the child. What it was doing may be broken off anywhere."""
        if self._child is not None:
            self._child.kill()
        self._child = self._doing = None
        self._waiting = []

    def _answered(self, child: Child, now: float) -> bool:
        """Whether the child is free; an error that it answers is raised."""
        if self._doing is None:
            return True
        answer = child.answer()
        if answer is None:
            return False
        (name, began), self._doing = self._doing, None
        self._idle_since = now
        told = json.loads(answer) if answer else {}
        took = float(told.get("seconds", now - began))
        rest = SEAL_S if name == "seal" else 0.0 if name in PROMPT else max(LOOK_S, REST * took)
        self._not_before[name] = now + rest
        if answer == "":
            self.close()
            self._done.pop("judge", None)  # who asked is told, instead of waiting for ever
            log.warning("the process that evaluates and seals ended while doing %s", name)
            self._failed(name, "its process ended")
        elif error := told.get("error"):
            log.warning("%s: %s", name, error)
            self._failed(name, error)
        else:
            self._failures.pop(name, None)
        return self._child is not None

    def _failed(self, name: str, error: str) -> None:
        """Remember an error; what failed is tried again even without news, until it is known to fail again and again."""
        self._failures[name] = [*self._failures.get(name, [])[-FAILURES:], error]
        if name not in KEPT and len(self._failures[name]) < FAILURES:
            self._done.pop(name, None)

    def _ready(self, now: float) -> list[tuple[str, Stamp]]:
        """What there is to do, the chore that waits longest first, each with the state of the files that it will see."""
        folders = [self._home / kind for kind in ("predictions", "truth")]
        names = sorted({entry.name for folder in folders if folder.is_dir() for entry in os.scandir(folder)})
        stamps = {f"evaluate {name}": self._log_of(name, folders) for name in names}
        stamps["judge"] = tuple((one, 0, 0) for one in self.asked)
        stamps["compile"] = tuple((one, 0, 0) for one in self.uncompiled)
        stamps["clear"] = ((time.strftime("%Y-%m-%d", time.gmtime()), 0, 0),)
        stamps["seal"] = tuple(each for stamp in stamps.values() for each in stamp if self._closed(each[0]))
        ready = [
            name
            for name, stamp in stamps.items()
            if stamp and stamp != self._done.get(name) and now >= self._not_before.get(name, 0.0)
        ]
        return [(name, stamps[name]) for name in sorted(ready, key=lambda name: self._not_before.get(name, 0.0))]

    def _log_of(self, endpoint: str, folders: Sequence[Path]) -> Stamp:
        """What there is of an endpoint's records; changes when something is logged, sealed or removed."""
        archived = changed(self._home, endpoint)
        sealed = ((f"sealed/{endpoint}", 0, archived),) if archived else ()
        return stamp_of(*(folder / endpoint for folder in folders)) + sealed

    def _closed(self, name: str) -> bool:
        """Whether a file is a segment that nobody writes to any more."""
        handle = closed(self._home / name) if name.endswith(SUFFIX) else None
        if handle is not None:
            os.close(handle)
        return handle is not None

    def _ask(self, name: str, stamp: Stamp, now: float) -> None:
        if self._child is None:
            self._child = Child(self._home)
        self._done[name] = stamp
        self._doing = (name, now)
        do, _, endpoint = name.partition(" ")
        self._child.ask({"do": do, "endpoint": endpoint})


class Child:
    """The process, with a line of JSON for each question and answer."""

    def __init__(self, home: Path) -> None:
        self._buffer = b""
        questions, self._questions = os.pipe()
        self._answers, answers = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "loopline.shells.worker.chore", "--home", str(home)],
            stdin=questions,
            stdout=answers,
            env=ONE_THREAD | os.environ | {"LOOPLINE_PARENT": str(os.getpid())},
        )
        os.close(questions)
        os.close(answers)

    def ask(self, question: dict[str, Any]) -> None:
        """Send it; a child that is gone is noticed when its answer is missing."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._questions, json.dumps(question).encode() + b"\n")

    def answer(self) -> str | None:
        """A line, None when there is none yet, "" when the child has ended."""
        while b"\n" not in self._buffer:
            if not select.select([self._answers], [], [], 0)[0]:
                return None
            piece = os.read(self._answers, 65536)
            if not piece:
                return ""
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        os.close(self._questions)
        os.close(self._answers)


def stamp_of(*folders: Path) -> Stamp:
    """Name, size and time of every file in folders; changes when something is logged or sealed."""
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):
                    stat = entry.stat()
                    found.append((f"{folder.parent.name}/{folder.name}/{entry.name}", stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))

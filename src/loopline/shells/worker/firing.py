"""Executes firings, a few at a time, each in a process of its own. Several workers may serve one home: a firing is
claimed before its process starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import msgspec

from loopline.app.wiring import Loopline
from loopline.kit.processes import PATIENT_THREADS

AT_ONCE = 2
LOOK_S = 2.0


class Child(msgspec.Struct):
    """The process of a firing."""

    firing: Any
    process: subprocess.Popen[bytes]


class Firings:
    """Starts the process of the next firing when there is room for it (LOOPLINE_FIRINGS, default 2). They die with this
    thread."""

    def __init__(self, loopline: Loopline) -> None:
        self._loopline = loopline
        self._at_once = at_once()
        self._children: list[Child] = []
        self._not_before: dict[str, float] = {}
        self._next_look = 0.0

    def look(self, new: bool) -> None:
        """Take note of what ended, start what waits. `new` tells that the database changed."""
        ended = [child for child in self._children if child.process.poll() is not None]
        for child in ended:
            self._children.remove(child)
            self._after(child.firing)
        now = time.monotonic()
        if not (new or ended or now >= self._next_look):
            return
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._loopline.automation.requeue_lost()
        while len(self._children) < self._at_once and self._start_next():
            pass

    def close(self) -> None:
        """End the processes; their firings are taken up again by the next worker."""
        for child in self._children:
            child.process.kill()
            child.process.wait()
        self._children.clear()

    def _start_next(self) -> bool:
        now = time.monotonic()
        self._not_before = {name: at for name, at in self._not_before.items() if at > now}
        automation = self._loopline.automation
        firing = automation.next_requested(frozenset(self._not_before))
        claimed = automation.begin(firing.id) if firing is not None else None
        if claimed is not None:
            self._children.append(Child(claimed, self._started(claimed)))
        return claimed is not None

    def _started(self, firing: Any) -> subprocess.Popen[bytes]:
        home = self._loopline.home
        environment = (
            PATIENT_THREADS | os.environ | {"LOOPLINE_PARENT": str(os.getpid()), "LOOPLINE_ACTOR": firing.rules.actor}
        )
        command = [sys.executable, "-P", "-m", "loopline.shells.worker.fire", firing.id, "--home", str(home)]
        with open(home / "logs" / f"firing-{firing.id}.log", "ab") as output:
            return subprocess.Popen(
                [*command, "--fence", str(firing.fence)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )

    def _after(self, firing: Any) -> None:
        """A process that ended in the middle of its firing is followed by another, ever later."""
        standing = self._loopline.automation.firing(firing.id)
        if (standing.state, standing.fence) == ("running", firing.fence):
            self._not_before[firing.id] = time.monotonic() + 0.1 * 2**firing.attempts
            self._loopline.automation.give_back(standing)


def at_once() -> int:
    """How many firings one worker executes at once."""
    text = os.environ.get("LOOPLINE_FIRINGS", "")
    return max(1, min(int(text), 64)) if text.isdigit() else AT_ONCE

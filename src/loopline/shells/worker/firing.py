"""Executes firings, one at a time, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from loopline.app.wiring import Loopline
from loopline.kit.processes import PATIENT_THREADS

MOST_STARTS = 5
LOOK_S = 5.0


class Firings:
    """Starts the process of the next firing when the one before has ended. It dies with this thread."""

    def __init__(self, loopline: Loopline) -> None:
        self._loopline = loopline
        self._process: subprocess.Popen[bytes] | None = None
        self._id = ""
        self._starts: dict[str, int] = {}
        self._not_before = 0.0
        self._next_look = 0.0

    def look(self, new: bool) -> None:
        """Take note of what ended, start what waits. `new` tells that the database changed."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._process = None
            self._after()
            new = True
        now = time.monotonic()
        if (new or now >= self._next_look) and now >= self._not_before:
            self._next_look = now + LOOK_S
            self._loopline.automation.requeue_lost()
            firing = self._loopline.automation.next_requested()
            if firing is not None:
                self._start(firing)

    def close(self) -> None:
        """End the process; its firing is taken up again by the next worker."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self, firing: Any) -> None:
        home = self._loopline.home
        environment = (
            PATIENT_THREADS | os.environ | {"LOOPLINE_PARENT": str(os.getpid()), "LOOPLINE_ACTOR": firing.rules.actor}
        )
        self._id = firing.id
        self._starts[firing.id] = self._starts.get(firing.id, 0) + 1
        with open(home / "logs" / f"firing-{firing.id}.log", "ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "loopline.shells.worker.fire", firing.id, "--home", str(home)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )

    def _after(self) -> None:
        """A process that ended before it began its firing is started again, ever later, and not for ever."""
        firing = self._loopline.automation.firing(self._id)
        if firing.state != "requested":
            self._starts.pop(self._id, None)
            return
        starts = self._starts[self._id]
        self._not_before = time.monotonic() + 0.1 * 2**starts
        if starts >= MOST_STARTS:
            reason = f"its process could not start: see logs/firing-{self._id}.log"
            self._loopline.automation.ended(self._id, "failed", reason)

"""The worker's loop: looks five times a second whether there is something to do. It stays light: whatever needs arrays
or a project's code happens in child processes that die with it."""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from loopline.app.wiring import Loopline, open_home
from loopline.kit.durable import sweep
from loopline.shells.worker.chores import Chores
from loopline.shells.worker.firing import Firings

BEAT_S = 0.2
TICK_S = 1.0
SWEEP_S = 3.0
TIDY_S = 600.0
QUIET_S = 60.0
WRITTEN = ("blobs", "keys", "predictions", "truth", "work/snapshots")
log = logging.getLogger("loopline.worker")


class Worker:
    """Runs until `end` is called, which any thread or signal may do. An error in one part leaves the others alone."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ending = threading.Event()
        self._last_said: dict[str, float] = {}
        self._changed = -1
        self._next: dict[str, float] = {}
        self._follow = True
        self._approved: list[tuple[str, int]] = []

    def run(self) -> None:
        """Work until the end; the children are ended and the installation is closed when it returns."""
        with open_home(self._home) as loopline, self._alone():
            firings, chores = Firings(loopline), Chores(self._home)
            try:
                while not self._ending.wait(0 if self._turn(loopline, firings, chores) else BEAT_S):
                    pass
            finally:
                firings.close()
                chores.close()

    def end(self) -> None:
        """Have `run` return soon."""
        self._ending.set()

    def _turn(self, loopline: Loopline, firings: Firings, chores: Chores) -> bool:
        """One look at everything; whether there is more to do at once."""
        changed = self._part("database", loopline.database.changed)
        new = changed != self._changed or changed is None
        self._changed = changed
        more = (new or self._time("tick", TICK_S)) and self._part("policies", lambda: self._tick(loopline, chores))
        self._part("firings", lambda: firings.look(new))
        self._part("logs", chores.look)
        if self._time("sweep", SWEEP_S):
            self._part("runs", lambda: loopline.tracking.sweep())  # noqa: PLW0108  (building it may fail too)
        if self._time("left behind", TIDY_S):
            self._part("left behind", lambda: [sweep(self._home / name) for name in WRITTEN])
        return bool(more)

    def _tick(self, loopline: Loopline, chores: Chores) -> bool:
        ticked = loopline.automation.tick()
        self._follow = self._follow or ticked.moved
        self._approved += ticked.approved
        if ticked.applied:
            chores.look_again()
        while self._approved:
            model, version = self._approved.pop()
            loopline.automation.approved(model, version, loopline.promotion)
        if self._follow:
            loopline.serving.follow()
            self._follow = False
        return bool(ticked.more)

    def _time(self, name: str, every_s: float) -> bool:
        """Whether it is time again for something that is done every so often."""
        now = time.monotonic()
        if now < self._next.get(name, 0.0):
            return False
        self._next[name] = now + every_s
        return True

    def _part(self, name: str, do: Callable[[], Any]) -> Any:
        """Do something that may fail; a failure is logged once a minute for each kind of it."""
        try:
            return do()
        except Exception as error:
            kind, now = f"{name}: {type(error).__name__}", time.monotonic()
            if now - self._last_said.get(kind, -QUIET_S) >= QUIET_S:
                self._last_said[kind] = now
                log.exception("%s: %s", name, error)
            return None

    def _alone(self) -> IO[str]:
        """Wait until no other worker serves this home; the answer is the lock, to be held."""
        lock = open(self._home / "run" / "worker.lock", "a")  # noqa: SIM115  (held as long as the worker runs)
        while not self._ending.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self._ending.wait(BEAT_S)
        return lock

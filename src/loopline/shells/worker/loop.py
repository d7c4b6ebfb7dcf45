"""The worker's loop: looks five times a second whether there is something to do. It stays light: whatever needs arrays
or a project's code happens in child processes that die with it.

Several workers may serve one home: policies and firings know how to share. What does not (evaluating, sealing, following
aliases, tidying) is done by the one that holds the lock."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from loopline.app.wiring import Loopline, open_home
from loopline.core.times import to_text
from loopline.kit.durable import sweep
from loopline.shells.worker.chores import Chores
from loopline.shells.worker.firing import Firings
from loopline.shells.worker.sending import Sending

BEAT_S = 0.2
TICK_S = 1.0
LOOK_S = 5.0
WATCH_S = 30.0
SWEEP_S = 3.0
PACK_S = 60.0
PACKED_BEFORE = timedelta(days=2)  # a worker that starts looks at runs that ended since; others were packed before
TIDY_S = 600.0
QUIET_S = 60.0
WRITTEN = ("blobs", "keys", "predictions", "truth", "work/snapshots", "work/uploads")
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
        self._packed_until = to_text(datetime.now(UTC) - PACKED_BEFORE)
        self._approved: list[tuple[str, int]] = []
        self._sending = Sending(home)

    def run(self) -> None:
        """Work until the end; the children are ended and the installation is closed when it returns."""
        with open_home(self._home) as loopline, First(self._home) as first:
            firings, chores = Firings(loopline), Chores(self._home)
            try:
                while not self._ending.wait(0 if self._turn(loopline, firings, chores, first) else BEAT_S):
                    pass
            finally:
                firings.close()
                chores.close()
                self._sending.close()

    def end(self) -> None:
        """Have `run` return soon."""
        self._ending.set()

    def _turn(self, loopline: Loopline, firings: Firings, chores: Chores, first: First) -> bool:
        """One look at everything; whether there is more to do at once."""
        changed = self._part("database", loopline.database.changed)
        new = changed != self._changed or changed is None
        self._changed = changed
        more = (new or self._time("tick", TICK_S)) and self._part("policies", lambda: self._tick(loopline, chores))
        self._part("firings", lambda: firings.look(new))
        if first.is_mine():
            self._alone(loopline, chores, new)
        return bool(more)

    def _alone(self, loopline: Loopline, chores: Chores, new: bool) -> None:
        """What one worker of a home does."""
        if new or self._time("questions", LOOK_S):
            self._part("questions", lambda: setattr(chores, "asked", loopline.promotion.waiting()))
            self._part("engines", lambda: setattr(chores, "uncompiled", _named(loopline.registry.uncompiled())))
        if new or self._time("messages", TICK_S):
            self._part("messages", lambda: self._sending.look(loopline.monitoring.messages.due()))
        if self._follow or self._approved:
            self._part("aliases", lambda: self._followed(loopline))
        self._part("logs", chores.look)
        if self._time("monitors", WATCH_S):
            self._part("monitors", lambda: loopline.monitoring.watch_monitors(chores.failing()))
        if self._time("sweep", SWEEP_S):
            self._part("runs", lambda: loopline.tracking.sweep())  # noqa: PLW0108  (building it may fail too)
        if self._time("pack", PACK_S):
            self._part("histories", lambda: self._pack(loopline))
        if self._time("left behind", TIDY_S):
            self._part("left behind", lambda: [sweep(self._home / name) for name in WRITTEN])

    def _pack(self, loopline: Loopline) -> None:
        self._packed_until = loopline.tracking.pack_ended(self._packed_until)

    def _tick(self, loopline: Loopline, chores: Chores) -> bool:
        ticked = loopline.automation.tick()
        self._follow = self._follow or ticked.moved
        self._approved += ticked.approved
        if ticked.applied:
            chores.look_again()
        return bool(ticked.more)

    def _followed(self, loopline: Loopline) -> None:
        while self._approved:
            model, version = self._approved.pop()
            loopline.automation.approved(model, version, loopline.promotion)
        if self._follow:
            loopline.serving.follow()
            self._follow = False

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


def _named(versions: list[tuple[str, int]]) -> list[str]:
    """Versions as "model/3"."""
    return [f"{model}/{version}" for model, version in versions]


class First:
    """The lock that one worker of a home holds; the kernel lets go of it when that worker ends."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / "worker.lock"
        self._lock: IO[str] | None = None
        self._held = False

    def __enter__(self) -> First:
        self._lock = open(self._path, "a")
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

    def is_mine(self) -> bool:
        """Whether this worker holds the lock, or takes it now because nobody does."""
        if not self._held and self._lock is not None:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._held = True
        return self._held

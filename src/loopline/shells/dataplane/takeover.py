"""One data plane an installation: the lock that says so, and how a successor takes over without a pause.

A successor loads and warms what its predecessor has loaded, answers on the same socket beside it, tells it to end, and
takes the lock when it has. Until then it follows no deployment and writes no ground truth: of both there is one writer.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.core.errors import Unavailable
from loopline.shells.dataplane.revision import COLD, READY
from loopline.usecases.serving.waiting import LOCK, address

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application

WAIT_S = 30.0
POLL_S = 0.02


class Lock:
    """The installation's lock; the system frees it when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        self._home = home
        (home / LOCK).parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_take(self) -> bool:
        """Whether it is ours now."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def take(self) -> None:
        """Wait for a predecessor that is still draining. Unavailable when it stays."""
        deadline = time.monotonic() + WAIT_S
        while not self.try_take():
            if time.monotonic() > deadline:
                raise Unavailable(f"Another data plane serves {self._home}.", "Stop it first, or start with --replace.")
            time.sleep(POLL_S)

    def free(self) -> None:
        """Let go."""
        os.close(self._handle)


async def warmed(app: Application) -> None:
    """Wait until everything that is being loaded is up. Unavailable names what does not come up: then the predecessor
    goes on."""
    for revision in [each for each in app.revisions() if each.state != COLD]:
        await revision.changed.wait()
        if revision.state != READY:
            raise Unavailable(
                f"The successor cannot load {revision.endpoint!r} revision {revision.number}: {revision.reason}",
                "What served before goes on.",
            )


async def take_over(home: Path, lock: Lock) -> None:
    """Tell the predecessor to end and wait for its lock; one that does not end in time is killed."""
    told, deadline = 0, time.monotonic() + WAIT_S
    while not lock.try_take():
        holder = _holder(home)
        if holder and holder != told:
            told = holder
            _signal(holder, signal.SIGTERM)
        if time.monotonic() > deadline:
            _signal(holder, signal.SIGKILL)
        await asyncio.sleep(POLL_S)


def _holder(home: Path) -> int:
    try:
        return int(address(home)["pid"])
    except (Unavailable, KeyError, ValueError):
        return 0


def _signal(pid: int, number: int) -> None:
    if pid and pid != os.getpid():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

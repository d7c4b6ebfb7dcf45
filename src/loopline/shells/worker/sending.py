"""Has messages about alerts sent, in a process of their own: a slow receiver holds up nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

AGAIN_S = 5.0


class Sending:
    """Starts the process that sends when something is due and none runs."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._child: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def look(self, due: bool) -> None:
        """Start it if it is needed; one that ended is started again after a few seconds at the earliest."""
        now = time.monotonic()
        if self._child is not None and self._child.poll() is not None:
            self._not_before = now + (AGAIN_S if self._child.returncode else 0.0)
            self._child = None
        if due and self._child is None and now >= self._not_before:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "loopline.shells.worker.send", "--home", str(self._home)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | {"LOOPLINE_PARENT": str(os.getpid())},
            )

    def close(self) -> None:
        """End it. What it was sending is sent again, under the same key."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = None

"""How much memory processes hold together with all that they started."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_PAGE = os.sysconf("SC_PAGESIZE")


class Watch:
    """Looks now and then at the processes whose memory is limited. What one of them asks for is limited where it runs;
    this sees what all of them hold, and what was got past that limit."""

    EVERY_MS = 100.0

    def __init__(self) -> None:
        self._limits: dict[int, int] = {}
        self._next = 0.0

    @property
    def on(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._limits)

    def begin(self, pid: int, size: int) -> None:
        """Let the processes below `pid` hold `size` bytes more than now."""
        if sys.platform == "linux":
            self._limits[pid] = held_by(pid) + size

    def end(self, pid: int) -> None:
        """Look no longer."""
        if self._limits:
            self._limits.pop(pid, None)

    def over(self) -> set[int]:
        """Those that hold too much; looked up no more often than `EVERY_MS`."""
        if not self._limits or time.monotonic() < self._next:
            return set()
        self._next = time.monotonic() + self.EVERY_MS / 1000
        return {pid for pid, limit in self._limits.items() if held_by(pid) > limit}


def held_by(pid: int) -> int:
    """Bytes of memory that a process and all below it hold for themselves (files mapped into memory left out)."""
    return sum(resident(one) for one in family(pid))


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found, new = [pid], [pid]
    while new:
        new = [child for one in new for child in children_of(one)]
        found += new
    return found


def children_of(pid: int) -> list[int]:
    """The children of a process, whichever of its threads started them."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    except (OSError, ValueError):  # gone meanwhile
        return found
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process holds, without those shared with files."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE

"""CPU and wall seconds of a process with all its descendants, from /proc. Standard library only: peers use it too.

Counted: this process's threads, children that ended and were waited for, and every descendant alive at the moment of
reading (a server that a tool started). A child that ends without being waited for is lost: `adopt` makes even a daemon's
children ours, so that they are waited for here.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")
_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """Become the parent of descendants whose own parents end."""
    ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _stats() -> dict[int, tuple[int, float]]:
    """Parent and CPU seconds (children that ended included) of every process."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            found[int(folder.name)] = int(fields[1]), sum(map(int, fields[11:15])) / TICK
    return found


def descendants(root: int) -> dict[int, float]:
    """CPU seconds of each living descendant of a process."""
    stats, found = _stats(), {}
    wanted = {root}
    while wanted:
        wanted = {pid for pid, (parent, _) in stats.items() if parent in wanted and pid not in found}
        found |= {pid: stats[pid][1] for pid in wanted}
    return found


def _others() -> float:
    """CPU seconds of everything under this process until now."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime + sum(descendants(os.getpid()).values())


def measured(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """({cpu, wall} seconds, what the work gave). Looking at the others is left out of this process's own."""
    others, own, began = _others(), time.process_time(), time.perf_counter()
    answer = work()
    wall, own = time.perf_counter() - began, time.process_time() - own
    return {"cpu": own + _quiet() - others, "wall": wall}, answer


def _quiet(patience_s: float = 20.0, share: float = 0.05) -> float:
    """CPU seconds of the others once servers have done what they put off: they use less than a share of a core."""
    found, until = _others(), time.monotonic() + patience_s
    while descendants(os.getpid()) and time.monotonic() < until:
        time.sleep(0.5)
        found, before = _others(), found
        if found - before < 0.5 * share:
            break
    return found


def end_all(root: int, grace_s: float = 5.0) -> None:
    """End every descendant of a process: asked first, then killed; those that are our own children are waited for."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + grace_s
        for pid in descendants(root):
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                continue
        while time.monotonic() < until and _reap() and descendants(root):
            time.sleep(0.05)


def _reap() -> bool:
    """Wait for children that ended; whether any is left."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
        except ChildProcessError:
            return False

"""Which process something belongs to, told so that another process can see whether it still lives."""

from __future__ import annotations

import functools
import os
from pathlib import Path


@functools.cache
def machine() -> str:
    """This boot of this machine, and the name space in which process ids count; empty where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def myself() -> str:
    """This process: machine, id and start time."""
    return f"{machine()} {os.getpid()} {began(os.getpid())}"


def is_alive(process: str) -> bool:
    """Whether the process that `myself` told of runs on this machine now."""
    place, _, rest = process.partition(" ")
    pid, _, start = rest.partition(" ")
    return bool(pid) and place == machine() and began(int(pid)) == start


def began(pid: int) -> str:
    """When a process started, in clock ticks since the boot (elsewhere than on Linux: "runs"); "dead" for none."""
    if not machine():
        return "runs" if answers(pid) else "dead"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "dead"
    fields = stat[stat.rindex(")") + 2 :].split()
    return "dead" if fields[0] in "ZX" else fields[19]


def answers(pid: int) -> bool:
    """Whether there is a process with that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

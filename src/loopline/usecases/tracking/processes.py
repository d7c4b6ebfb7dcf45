"""Which process a run belongs to, so that the death of the process shows on the run."""

from __future__ import annotations

import functools
import os
from pathlib import Path


@functools.cache
def machine() -> str:
    """This machine, this boot of it, and the name space in which process ids count; empty where that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    try:
        name = Path("/etc/machine-id").read_text().strip()
    except OSError:
        name = ""
    return f"{name}/{boot}/{space}"


def myself() -> str:
    """This process: machine, id and start time, as stored with a run."""
    return of_process(os.getpid())


@functools.lru_cache(maxsize=4)
def of_process(pid: int) -> str:
    """A process as stored; its number changes with a fork, and so does this."""
    return f"{machine()} {pid} {began(pid)}" if machine() else ""


def began(pid: int) -> str:
    """When a process started, in clock ticks since the boot; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat[stat.rindex(")") + 2 :].split()
    return "" if fields[0] in "ZX" else fields[19]


def is_dead(process: str) -> bool:
    """Whether a stored process certainly no longer runs; False for one of another machine, of which nothing is known."""
    if not process or not machine():
        return False
    place, pid, start = process.rsplit(" ", 2)
    if place == machine():
        return began(int(pid)) != start
    name, boot, _ = place.split("/")
    here, now, _ = machine().split("/")
    return bool(name) and name == here and boot != now  # the machine was started anew since

"""The first moments of a worker process, run as a script by whichever interpreter a call asked for.

It splits in two: a guard, which does nothing but wait, and the process that serves calls. However the owner or the serving
process ends, the guard ends everything that was started below it, other sessions and groups included: on Linux orphans
become its children, because it is their subreaper. Standard library only: the interpreter may know nothing of Loopline.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

DEATH_SIGNAL, SUBREAPER = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
WATCHED = {signal.SIGTERM, signal.SIGCHLD}


def main() -> None:
    """Serve calls below guards. Arguments: three descriptors, the owner's process, how many guards (two where others may
    kill the first), a folder where Loopline is found."""
    calls, outcomes, log, owner, guards = (int(value) for value in sys.argv[1:6])
    package = sys.argv[6]
    del sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the owner decides
    for _ in range(guards if sys.platform == "linux" else 0):
        owner = split(owner, {calls, outcomes, log})
    for descriptor in (calls, outcomes, log):
        os.set_inheritable(descriptor, False)
    child(package).serve(calls, outcomes, log)


def child(package: str) -> Any:
    """Loopline's part of the worker: the interpreter's own, else the one of the owner."""
    import importlib

    try:
        importlib.import_module("loopline")
    except ModuleNotFoundError:
        sys.path.append(package)
    module: ModuleType = importlib.import_module("loopline.adapters.executors.child")
    return module


def split(owner: int, descriptors: set[int]) -> int:
    """Go on in a new process; the old one becomes its guard and never returns. Answers the guard's process."""
    prctl = ctypes.CDLL(None).prctl
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    prctl(SUBREAPER, 1, 0, 0, 0)
    prctl(DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != owner:
        os._exit(1)
    guard, server = os.getpid(), os.fork()
    if server:
        watch(server, descriptors)
    prctl(DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return guard


def watch(server: int, descriptors: set[int]) -> None:
    """Wait for the end of the serving process or for the signal to end it, then end all that is left, in the same way."""
    for descriptor in (0, 1, 2, *descriptors):
        os.close(descriptor)
    status = 0
    while signal.sigwait(WATCHED) != signal.SIGTERM:
        ended = reaped(server)
        if ended is not None:
            status = ended
            break
    swept()
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        die_by(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def reaped(server: int) -> int | None:
    """Take away the dead; the serving process's status when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == server:
            found = status
        if pid == 0:
            return found


def swept(kill: Callable[[int, int], None] = os.kill) -> None:
    """Kill children until there are none: those of the killed become ours and are next."""
    while True:
        for pid in children():
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children() -> list[int]:
    """The children of this process."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel without this list
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == me]


def parent_of(pid: int) -> int:
    """The parent of a process; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def die_by(number: int) -> None:
    """End by this signal, as the serving process did."""
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    os.kill(os.getpid(), number)
    os._exit(128 + number)


if __name__ == "__main__":
    main()

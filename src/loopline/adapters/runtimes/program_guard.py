"""Runs a program that never outlives its owner: a script, run as `python -I -S program_guard.py OWNER FOLDER PROGRAM WORD…`.

The guard waits, with the program in a session of its own below it. When the owner dies or asks (SIGTERM), or the program
ends, the guard ends everything that was started below it (on Linux orphans become its children: it is their subreaper),
removes FOLDER, and ends as the program did. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys

DEATH_SIGNAL, SUBREAPER = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
WATCHED = {signal.SIGTERM, signal.SIGCHLD}


def main() -> None:
    """Start the program and wait."""
    owner, folder, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever started this may ignore it
    told(DEATH_SIGNAL, signal.SIGTERM)
    told(SUBREAPER, 1)
    if os.getppid() != owner:
        os._exit(1)
    guard, program = os.getpid(), os.fork()
    if not program:
        os.setsid()
        told(DEATH_SIGNAL, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if os.getppid() == guard:
            begin(command)
        os._exit(127)
    status = watched(program)
    swept(program)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF if status is not None else 0)


def begin(command: list[str]) -> None:
    """Become the program."""
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        os.write(2, f"{command[0]} cannot be started ({error.strerror}).\n".encode())


def told(option: int, value: int) -> None:
    """Ask the kernel for something, where it is Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def watched(program: int) -> int | None:
    """The status with which the program ended; None when it is to be ended."""
    while signal.sigwait(WATCHED) != signal.SIGTERM:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if pid == program:
                return status
            if pid == 0:
                break
    return None


def swept(program: int) -> None:
    """Kill the program's session and whatever else is below, until nothing is."""
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(program, signal.SIGKILL)
        for pid in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children() -> list[int]:
    """The children of this process, where the kernel lists them."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:
        return []


if __name__ == "__main__":
    main()

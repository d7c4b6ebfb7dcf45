"""Processes that never outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Numeric libraries' idle threads sleep instead of spinning: beside a serving process, spinning costs both a multiple."""


def die_with_parent(parent: int | None = None, with_signal: int = signal.SIGKILL) -> None:
    """Have the kernel signal this process when the thread that started it ends (Linux; elsewhere nothing happens).

    `parent` is the expected parent's id: when it is gone already, this process ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, with_signal, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)

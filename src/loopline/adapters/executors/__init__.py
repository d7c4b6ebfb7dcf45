"""Executors: in this process, in worker processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from loopline.ports.executor import Executor


def inline() -> Executor:
    """Calls in this process."""
    from loopline.adapters.executors.inline import Inline

    return Inline()


def processes(slots: int = 0) -> Executor:
    """Calls in a warm pool of worker processes; 0 slots: as many as there are processors, two at least."""
    from loopline.adapters.executors.processes import Processes

    return Processes(slots or max(2, len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 2))


def ray(address: str = "") -> Executor:
    """Calls on a Ray cluster: the one at LOOPLINE_RAY_ADDRESS, else one on this machine."""
    from loopline.adapters.executors.ray import Ray

    return Ray(address)


EXECUTORS: Mapping[str, Callable[[], Executor]] = MappingProxyType(
    {"inline": inline, "processes": processes, "ray": ray}
)

"""What a call used in a process of its own, and how it is kept from using more."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

from loopline.adapters.executors.calling import peak_rss

_QUIET = 16  # page faults below which a call cannot have moved the peak worth telling


class Peak:
    """The peak memory of each call. The kernel's mark is read and set back only after calls that touched new memory."""

    def __init__(self) -> None:
        self._status = opened("/proc/self/status", os.O_RDONLY)
        self._clear = opened("/proc/self/clear_refs", os.O_WRONLY)
        self._faults = -_QUIET
        self._resting = 0

    def taken(self) -> int:
        """The peak in bytes since this was asked last."""
        if self._status < 0 or self._clear < 0:
            return peak_rss()
        used = resource.getrusage(resource.RUSAGE_SELF)
        if self._resting and used.ru_minflt - self._faults < _QUIET:
            return self._resting
        peak = self._mark()
        os.write(self._clear, b"5")
        self._resting = self._mark()
        self._faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        return peak

    def _mark(self) -> int:
        _, _, rest = os.pread(self._status, 4096, 0).partition(b"VmHWM:")
        return int(rest.split(None, 1)[0]) * 1024 if rest else peak_rss()


def opened(path: str, flags: int) -> int:
    """A descriptor; -1 where the kernel has no such file."""
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return -1


def limited(size: int) -> Callable[[], None]:
    """Let this process, and each that it starts, take no more than `size` bytes on top of what it has: what asks for
    more gets a MemoryError or its language's like. Address space counts, as it does for whoever asks. Answers what lifts
    the limit."""
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = held() + size
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def held() -> int:
    """Bytes of private data that this process has asked for."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return peak_rss()

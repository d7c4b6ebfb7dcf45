"""CPU, memory, disk, network and GPUs over time, as metrics `system/…` (the names of MLflow's client, and the process's).

Percentages are of the whole machine, megabytes are 10^6 bytes; network and disk count from the run's beginning.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

EVERY_S = 10.0
MB = 1e6


class Machine:
    """Logs a sample after a second, then every ten."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self._step = 0
        self._next = 0.0
        self._read = from_proc if sys.platform.startswith("linux") else from_psutil()
        self._gpus = Gpus.found()
        self._before = self._read()
        self._first = self._before
        self._at = time.monotonic()
        self._cpu = process_seconds()

    def tick(self) -> None:
        """Log a sample when it is due."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY_S
        values = self._sample(now - self._at)
        self._at = now
        self._run.log({f"system/{name}": round(value, 3) for name, value in values.items()}, step=self._step)
        self._step += 1

    def stop(self) -> None:
        """Let go of the GPUs."""
        if self._gpus is not None:
            self._gpus.close()

    def _sample(self, seconds: float) -> dict[str, float]:
        now, before, first = self._read(), self._before, self._first
        busy, total = now["busy"] - before["busy"], now["total"] - before["total"]
        cpu = process_seconds()
        disk = os.statvfs(Path.cwd())
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        values = {
            "cpu_utilization_percentage": 100 * busy / total if total > 0 else 0.0,
            "system_memory_usage_megabytes": now["used"] / MB,
            "system_memory_usage_percentage": 100 * now["used"] / now["memory"],
            "disk_usage_megabytes": used / MB,
            "disk_usage_percentage": 100 * used / max(1, used + disk.f_bavail * disk.f_frsize),
            "disk_available_megabytes": disk.f_bavail * disk.f_frsize / MB,
            "network_receive_megabytes": (now["received"] - first["received"]) / MB,
            "network_transmit_megabytes": (now["sent"] - first["sent"]) / MB,
            "process_cpu_percentage": 100 * (cpu - self._cpu) / max(seconds, 1e-3),
            "process_memory_megabytes": now["resident"] / MB,
        }
        self._before, self._cpu = now, cpu
        return values | (self._gpus.sample() if self._gpus is not None else {})


class Gpus:
    """NVIDIA's GPUs by NVML (package nvidia-ml-py), when it is installed and there are any."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._handles = [nvml.nvmlDeviceGetHandleByIndex(one) for one in range(nvml.nvmlDeviceGetCount())]

    @classmethod
    def found(cls) -> Gpus | None:
        """The GPUs of this machine; None without the package or without one."""
        if find_spec("pynvml") is None:
            return None
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            return cls(nvml)
        except Exception:  # no driver, no GPU
            return None

    def sample(self) -> dict[str, float]:
        """Use, memory and power of each GPU."""
        found: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
            found[f"gpu_{number}_utilization_percentage"] = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu
            found[f"gpu_{number}_memory_usage_megabytes"] = memory.used / MB
            found[f"gpu_{number}_memory_usage_percentage"] = 100 * memory.used / memory.total
            try:
                power = self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000
                found[f"gpu_{number}_power_usage_watts"] = power
            except Exception:  # noqa: S112  (not every GPU knows)
                continue
        return found

    def close(self) -> None:
        """Give NVML back."""
        self._nvml.nvmlShutdown()


def process_seconds() -> float:
    """CPU seconds of this process and the children that it has waited for."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


def from_proc() -> dict[str, float]:
    """Counters of the machine and the process, as Linux tells them in /proc (see proc(5))."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    memory: dict[str, float] = {}
    for line in Path("/proc/meminfo").read_text().splitlines()[:8]:
        name, _, rest = line.partition(":")
        memory[name] = float(rest.split()[0]) * 1024
    free = memory.get("MemAvailable", memory.get("MemFree", 0.0))
    traffic = [line.partition(":") for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
    counts = [rest.split() for name, _, rest in traffic if name.strip() != "lo"]
    return {
        "busy": sum(ticks) - ticks[3] - ticks[4],
        "total": sum(ticks),
        "memory": memory["MemTotal"],
        "used": memory["MemTotal"] - free,
        "received": sum(float(one[0]) for one in counts),
        "sent": sum(float(one[8]) for one in counts),
        "resident": float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(),
    }


def from_psutil() -> Any:
    """The same counters by psutil, for other systems; raises ImportError without it."""
    psutil = importlib.import_module("psutil")
    process = psutil.Process()

    def read() -> dict[str, float]:
        times, memory, net = psutil.cpu_times(), psutil.virtual_memory(), psutil.net_io_counters()
        return {
            "busy": sum(times) - times.idle,
            "total": sum(times),
            "memory": memory.total,
            "used": memory.total - memory.available,
            "received": net.bytes_recv,
            "sent": net.bytes_sent,
            "resident": process.memory_info().rss,
        }

    return read


def begin(run: Any) -> Machine:
    """Begin for a run."""
    return Machine(run)

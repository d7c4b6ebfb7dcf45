"""What machine the figures are from."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import venvs


def facts(names: list[str]) -> dict[str, Any]:
    """Cores, memory, load, date, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "cores": os.cpu_count(),
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": load(),
        "versions": {name: version("loopline") if name == "loopline" else venvs.version_of(name) for name in names},
    }


def load() -> float:
    """The machine's load of the last minute."""
    return round(os.getloadavg()[0], 2)

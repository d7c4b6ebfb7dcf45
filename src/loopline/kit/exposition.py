"""Prometheus' text format, version 0.0.4."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

STARTED = time.time()


class Gauge(NamedTuple):
    """Values of now, each with its labels."""

    name: str
    help: str
    values: Iterable[tuple[Mapping[str, str], float]]


def labelled(labels: Mapping[str, str]) -> str:
    """Labels as the text format has them; nothing where there are none."""
    if not labels:
        return ""
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


def process_lines() -> Iterator[str]:
    """What Prometheus' own libraries say about a process; nothing where there is no /proc."""
    try:
        spent = os.times()
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        handles = len(os.listdir("/proc/self/fd"))
    except OSError:
        return
    for name, kind, text, value in (
        ("cpu_seconds_total", "counter", "User and system CPU time.", spent.user + spent.system),
        ("resident_memory_bytes", "gauge", "Resident memory.", resident),
        ("open_fds", "gauge", "Open file descriptors.", handles),
        ("start_time_seconds", "gauge", "Start of the process since 1970.", STARTED),
    ):
        yield f"# HELP process_{name} {text}"
        yield f"# TYPE process_{name} {kind}"
        yield f"process_{name} {value:.10g}"


def gauge_lines(gauges: Iterable[Gauge], prefix: str) -> Iterator[str]:
    """Gauges as lines, each name behind `prefix`."""
    for gauge in gauges:
        yield f"# HELP {prefix}{gauge.name} {gauge.help}"
        yield f"# TYPE {prefix}{gauge.name} gauge"
        for labels, value in gauge.values:
            yield f"{prefix}{gauge.name}{labelled(labels)} {value:.10g}"

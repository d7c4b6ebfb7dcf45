"""Counts and latencies for Prometheus."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

STARTED = time.time()
BOUNDS_NS = tuple(
    round(seconds * 1e9)
    for seconds in (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
)


# What the counters beyond requests count. A counter that is not named here is one of our mistakes.
COUNTERS = {
    "swaps": "Revisions put in place of another.",
    "model_processes_hung": "Processes of models ended because they did not answer in time.",
    "model_processes_restarted": "Processes of models started again after their death.",
    "requests_sent_again": "Requests given to another process because theirs died.",
    "predictions_not_logged": "Predictions whose record could not be kept.",
}


class Gauge(NamedTuple):
    """Values of now, each with its labels."""

    name: str
    help: str
    values: Iterable[tuple[Mapping[str, str], float]]


class Series:
    """The requests of one endpoint and revision; `endpoint` is empty for everything else."""

    __slots__ = ("buckets", "endpoint", "revision", "statuses", "total_ns")

    def __init__(self, endpoint: str, revision: int) -> None:
        self.endpoint = endpoint
        self.revision = revision
        self.statuses: dict[int, int] = {}
        self.buckets = [0] * (len(BOUNDS_NS) + 1)
        self.total_ns = 0


class Metrics:
    """All series of this process, and further counters by name."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, int], Series] = {}
        self.counters: dict[str, dict[str, int]] = {}
        self._other = self.of("", 0)

    def of(self, endpoint: str, revision: int) -> Series:
        """The series of one endpoint and revision."""
        key = (endpoint, revision)
        if key not in self.series:
            self.series[key] = Series(endpoint, revision)
        return self.series[key]

    def count(self, series: Series | None, status: int, started_ns: int) -> None:
        """One answer; `started_ns` on the performance counter, 0 when the request was never whole."""
        series = series or self._other
        series.statuses[status] = series.statuses.get(status, 0) + 1
        if started_ns:
            spent = time.perf_counter_ns() - started_ns
            series.total_ns += spent
            series.buckets[bisect_left(BOUNDS_NS, spent)] += 1

    def add(self, name: str, number: int = 1, **labels: str) -> None:
        """Raise a counter; one of `COUNTERS`, always with the same labels."""
        counter = self.counters.setdefault(name, {})
        shown = labelled(labels)
        counter[shown] = counter.get(shown, 0) + number

    def text(self, gauges: Iterable[Gauge]) -> str:
        """Prometheus' text format (version 0.0.4)."""
        ours = [*self._requests(), *self._latencies(), *self._counters(), *_gauges(gauges)]
        return "\n".join([*ours, *process_lines()]) + "\n"

    def _requests(self) -> Iterator[str]:
        yield "# HELP loopline_requests_total Answers by status."
        yield "# TYPE loopline_requests_total counter"
        for series in self.series.values():
            for status, number in sorted(series.statuses.items()):
                yield f'loopline_requests_total{{{_labels(series)},status="{status}"}} {number}'

    def _latencies(self) -> Iterator[str]:
        name = "loopline_request_seconds"
        yield f"# HELP {name} From a request's head to its answer."
        yield f"# TYPE {name} histogram"
        for series in self.series.values():
            labels, total = _labels(series), 0
            for bound, number in zip((*BOUNDS_NS, None), series.buckets, strict=True):
                total += number
                limit = "+Inf" if bound is None else f"{bound / 1e9:g}"
                yield f'{name}_bucket{{{labels},le="{limit}"}} {total}'
            yield f"{name}_sum{{{labels}}} {series.total_ns / 1e9:.6f}"
            yield f"{name}_count{{{labels}}} {total}"

    def _counters(self) -> Iterator[str]:
        for name, numbers in sorted(self.counters.items()):
            yield f"# HELP loopline_{name}_total {COUNTERS.get(name, name.replace('_', ' ').capitalize() + '.')}"
            yield f"# TYPE loopline_{name}_total counter"
            for shown, number in sorted(numbers.items()):
                yield f"loopline_{name}_total{shown} {number}"


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


def _gauges(gauges: Iterable[Gauge]) -> Iterator[str]:
    for gauge in gauges:
        yield f"# HELP loopline_{gauge.name} {gauge.help}"
        yield f"# TYPE loopline_{gauge.name} gauge"
        for labels, value in gauge.values:
            yield f"loopline_{gauge.name}{labelled(labels)} {value:.10g}"


def _labels(series: Series) -> str:
    return f'endpoint="{series.endpoint}",revision="{series.revision or ""}"'

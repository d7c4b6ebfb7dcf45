"""Counts and latencies for Prometheus."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from loopline.kit.exposition import Gauge, gauge_lines, labelled, process_lines

BOUNDS_NS = tuple(
    round(seconds * 1e9)
    for seconds in (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
)
# Counted more finely than told, from 50 us to 20 s in steps of 15 %, so that medians can be compared.
FINE_NS = tuple(sorted({*BOUNDS_NS, *(round(50_000 * 10 ** (step / 16)) for step in range(90))}))
TOLD = tuple(FINE_NS.index(bound) for bound in BOUNDS_NS)


# What the counters beyond requests count. A counter that is not named here is one of our mistakes.
COUNTERS = {
    "swaps": "Revisions put in place of another.",
    "model_processes_hung": "Processes of models ended because they did not answer in time.",
    "model_processes_restarted": "Processes of models started again after their death.",
    "model_processes_replaced": "Processes of models replaced because they had grown too large.",
    "models_unloaded": "Times that a model was unloaded because nobody asked for it, or for room.",
    "models_evicted": "Models unloaded to keep within the memory budget.",
    "requests_given_up": "Requests without an answer within their time.",
    "requests_cancelled": "Requests whose client hung up before they were given to a model.",
    "requests_sent_again": "Requests given to another process because theirs died.",
    "shadow_copies_dropped": "Copies of requests that a shadow had no room for, or no process.",
    "values_outside": "Values not as the endpoint takes them: rejected, clipped or let pass.",
    "predictions_not_logged": "Predictions whose record could not be kept.",
    "predictions_refused_by_disk": "Predictions of durable endpoints refused because their record could not be kept.",
}


class Series:
    """The requests of one endpoint and revision; `endpoint` is empty for everything else."""

    __slots__ = ("batches", "buckets", "endpoint", "revision", "rows", "statuses", "total_ns")

    def __init__(self, endpoint: str, revision: int) -> None:
        self.endpoint = endpoint
        self.revision = revision
        self.batches = 0
        self.rows = 0  # in those batches
        self.statuses: dict[int, int] = {}
        self.buckets = [0] * (len(FINE_NS) + 1)  # answers by latency, up to each of FINE_NS, and longer
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
            series.buckets[bisect_left(FINE_NS, spent)] += 1

    def add(self, name: str, number: int = 1, **labels: str) -> None:
        """Raise a counter; one of `COUNTERS`, always with the same labels."""
        counter = self.counters.setdefault(name, {})
        shown = labelled(labels)
        counter[shown] = counter.get(shown, 0) + number

    def text(self, gauges: Iterable[Gauge]) -> str:
        """Prometheus' text format (version 0.0.4)."""
        ours = [
            *self._requests(),
            *self._batches(),
            *self._latencies(),
            *self._counters(),
            *gauge_lines(gauges, "loopline_"),
        ]
        return "\n".join([*ours, *process_lines()]) + "\n"

    def _requests(self) -> Iterator[str]:
        yield "# HELP loopline_requests_total Answers by status."
        yield "# TYPE loopline_requests_total counter"
        for series in self.series.values():
            for status, number in sorted(series.statuses.items()):
                yield f'loopline_requests_total{{{_labels(series)},status="{status}"}} {number}'

    def _batches(self) -> Iterator[str]:
        found = [each for each in self.series.values() if each.batches]
        for name, text, attribute in (
            ("batches", "Batches given to a model.", "batches"),
            ("batch_rows", "Rows in those batches: divided by their number, how many requests share one.", "rows"),
        ):
            yield f"# HELP loopline_{name}_total {text}"
            yield f"# TYPE loopline_{name}_total counter"
            for series in found:
                yield f"loopline_{name}_total{{{_labels(series)}}} {getattr(series, attribute)}"

    def _latencies(self) -> Iterator[str]:
        name = "loopline_request_seconds"
        yield f"# HELP {name} From a request's head to its answer."
        yield f"# TYPE {name} histogram"
        for series in [each for each in self.series.values() if each.statuses]:
            labels, totals = _labels(series), list(accumulate(series.buckets))
            for bound, place in zip(BOUNDS_NS, TOLD, strict=True):
                yield f'{name}_bucket{{{labels},le="{bound / 1e9:g}"}} {totals[place]}'
            total = totals[-1]
            yield f'{name}_bucket{{{labels},le="+Inf"}} {total}'
            yield f"{name}_sum{{{labels}}} {series.total_ns / 1e9:.6f}"
            yield f"{name}_count{{{labels}}} {total}"

    def _counters(self) -> Iterator[str]:
        for name, numbers in sorted(self.counters.items()):
            yield f"# HELP loopline_{name}_total {COUNTERS.get(name, name.replace('_', ' ').capitalize() + '.')}"
            yield f"# TYPE loopline_{name}_total counter"
            for shown, number in sorted(numbers.items()):
                yield f"loopline_{name}_total{shown} {number}"


def _labels(series: Series) -> str:
    return f'endpoint="{series.endpoint}",revision="{series.revision or ""}"'

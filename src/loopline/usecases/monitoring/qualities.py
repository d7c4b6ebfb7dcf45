"""What is told about how good an endpoint's predictions are, from its windows and its book.

`monitoring` is the service. What needs the book imports numpy when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from loopline.core.errors import Invalid, NotFound
from loopline.core.performance import PerformanceMetric
from loopline.core.times import from_ms, to_ms
from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model.quality.maturity import arrived, wait_hours
from loopline.usecases.monitoring.model.quality.results import (
    Arrivals,
    Calibration,
    Delay,
    Estimate,
    Fairness,
    Looks,
    Performance,
    PerformanceRow,
)
from loopline.usecases.monitoring.model.windows import LabelDelay, Window
from loopline.usecases.monitoring.store import windows as store

if TYPE_CHECKING:
    from loopline.usecases.monitoring.model.tallies import Tally

SHOWN = frozenset((*get_args(PerformanceMetric), "lead", "label_mean", "predicted_mean"))
DAYS = 28
PARTS = 10
MOST_LOOKS = 60
WINDOWS = 30
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def performance(monitoring: Any, endpoint: str, column: str = "", since: str = "", until: str = "") -> Performance:
    """Each window's metrics with intervals, how much of its truth has arrived, and whether it is mature."""
    summary, rules = monitoring.summary(endpoint), monitoring.rules(endpoint)
    windows = monitoring.windows(endpoint, column, since, until)
    return Performance(
        endpoint=endpoint,
        column=column,
        window=summary.window,
        metric=summary.metric,
        limits=dict(summary.limits),
        mature_until=summary.mature_until,
        watermark=summary.watermark,
        rows=[_row(window, summary.label_delay, rules.minimum_labels) for window in windows],
    )


def delay(monitoring: Any, endpoint: str) -> Delay:
    """How late truth comes, and how long a window waits for it."""
    summary, rules = monitoring.summary(endpoint), monitoring.rules(endpoint)
    return Delay(
        endpoint=endpoint,
        learned=summary.label_delay,
        wait_hours=wait_hours(summary.label_delay, rules),
        written=rules.label_delay_hours is not None,
        watermark=summary.watermark,
        mature_until=summary.mature_until,
    )


def arrivals(tx: Transaction, endpoint: str) -> Arrivals | None:
    """Labels an hour of the newest windows that have ended, as many as there will be; and the wait that was learned."""
    found = store.summary(tx, endpoint)
    if found is None:
        return None
    learned = found[1].label_delay
    ended = [window for window in store.windows_of(tx, endpoint, "", "", "") if window.complete][-WINDOWS:]
    hours = sum(to_ms(window.end) - to_ms(window.start) for window in ended) / HOUR_MS
    rows, labelled = (sum(getattr(window, name) for window in ended) for name in ("predictions", "labelled"))
    labels = rows * learned.expected_share if learned.settled and learned.expected_share else labelled
    return Arrivals(
        labels_per_hour=labels / hours if hours else None,
        wait_hours=learned.p99_hours if learned.settled else None,
        inputs=found[1].inputs,
    )


def calibration(
    monitoring: Any, endpoint: str, column: str = "", value: str = "", since: str = "", until: str = ""
) -> Calibration:
    """How often what was predicted with some probability came true: PARTS parts of about as many rows, ordered by score.

    Without `since` of the last DAYS days. Invalid where predictions are no probabilities of 0 and 1.
    """
    from loopline.usecases.monitoring.model.quality.calibrating import calibrated

    first, end = _bounds(monitoring, endpoint, since, until)
    tallies = monitoring.book(endpoint).tallies(first, end, column, value)
    if any((one.numbers is not None and one.numbers.other) or one.classes is not None for one in tallies.values()):
        message = f"The predictions of {endpoint!r} are not probabilities of a yes, so they have no calibration."
        raise Invalid(message, "`monitoring.performance` tells their metrics.")
    bins, error = calibrated(tallies, PARTS)
    return Calibration(
        endpoint=endpoint,
        column=column,
        value=value,
        since=from_ms(first),
        until=from_ms(end),
        labelled=sum(one.rows for one in bins),
        ece=None if error is None else error.value,
        ece_low=None if error is None else error.low,
        ece_high=None if error is None else error.high,
        bins=bins,
    )


def looks(
    monitoring: Any, endpoint: str, metric: str = "", column: str = "", value: str = "", since: str = "", until: str = ""
) -> Looks:  # fmt: skip
    """A metric of all days since `since`, as it stood after each of them, with intervals that hold at all looks at once.

    Without `since` from the day on which the live version first answered. NotFound for a metric that these rows do not have.
    """
    from loopline.usecases.monitoring.model.quality.looks import course

    summary, rules = monitoring.summary(endpoint), monitoring.rules(endpoint)
    metric = metric or summary.metric
    if not since and not column and summary.version is not None:
        column, value = "version", str(summary.version)
    first, end = _bounds(monitoring, endpoint, since or "1970-01-01T00:00:00Z", until)
    tallies = monitoring.book(endpoint).tallies(first, end, column, value)
    found = course(tallies, metric, rules, MOST_LOOKS)
    if not found:
        raise NotFound(
            f"Endpoint {endpoint!r} has no {metric!r} since {from_ms(first)[:10]}.",
            "`monitoring.performance` lists the metrics that there are.",
        )
    begun = from_ms(min(tallies))
    return Looks(endpoint=endpoint, metric=metric, column=column, value=value, since=begun, looks=found)


def fairness(monitoring: Any, endpoint: str, column: str = "", since: str = "", until: str = "") -> Fairness:
    """Rates of each group of each `protected` column (or of one), and how far groups are apart. Without `since` of the last
    DAYS days. Invalid where the monitor names no protected column, or another one."""
    from loopline.usecases.monitoring.model.quality.fairness import LEAST
    from loopline.usecases.monitoring.model.quality.fairness import fairness as compared

    rules = monitoring.rules(endpoint)
    asked = (column,) if column else rules.protected
    if not asked or (column and column not in (*rules.protected, *rules.slices)):
        message = f"The monitor of {endpoint!r} names no protected column{f' {column!r}' if column else ''}."
        raise Invalid(message, "Write `protected: [COLUMN]` in its monitor in loopline.yaml.")
    first, end = _bounds(monitoring, endpoint, since, until)
    book = monitoring.book(endpoint)
    groups: dict[str, dict[str, Mapping[int, Tally]]] = {
        name: {value: book.tallies(first, end, name, value) for value in book.values(name)} for name in asked
    }
    return Fairness(
        endpoint=endpoint,
        since=from_ms(first),
        until=from_ms(end),
        threshold=rules.threshold,
        least=LEAST,
        columns=[compared(name, {k: v for k, v in found.items() if v}) for name, found in groups.items()],
    )


def _row(window: Window, delays: LabelDelay, least: int) -> PerformanceRow:
    return PerformanceRow(
        start=window.start,
        end=window.end,
        column=window.column,
        value=window.value,
        predictions=window.predictions,
        labelled=window.labelled,
        truth_share=window.truth_share,
        arrived=arrived(window.predictions, window.labelled, delays),
        state="mature" if window.mature else "provisional" if window.complete else "open",
        few=window.labelled < least,
        metrics=estimates(window.metrics),
    )


def estimates(metrics: Mapping[str, float]) -> dict[str, Estimate]:
    """Metrics of a window with their intervals."""
    return {
        name: Estimate(value=number, low=metrics.get(f"{name}_low"), high=metrics.get(f"{name}_high"))
        for name, number in metrics.items()
        if name in SHOWN
    }


def _bounds(monitoring: Any, endpoint: str, since: str, until: str) -> tuple[int, int]:
    """Milliseconds of whole days: what is asked for, else the last DAYS days before the watermark."""
    end = to_ms(until) if until else to_ms(monitoring.summary(endpoint).watermark) + 1
    end = -(-end // DAY_MS) * DAY_MS
    first = to_ms(since) // DAY_MS * DAY_MS if since else end - DAYS * DAY_MS
    if first >= end:
        raise Invalid(f"There is no day from {since} until {until or 'now'}.", "Let `since` be before `until`.")
    return first, end

"""What was estimated of a window, and how wrong that was later."""

from __future__ import annotations

import msgspec

METHODS = ("cbpe", "features", "arrived", "weighted", "mix")
CONFIDENCE = 0.9


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one window by one method ("mix" is the one to show).

    `value`, `low`, `high` are what was said last before the truth was mature, `first_…` what was said of the window as
    soon as it was over, with the labels known by then; None where nothing could be said (then `warning` tells why).
    Intervals are to hold the realized value in 90 of 100 windows. `share` is the part of the rows whose truth had arrived,
    `rows` how many the window had. `realized` is filled once truth is mature, and nothing else changes from then on.
    """

    start: str
    end: str
    metric: str
    method: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    share: float = 0.0
    as_of: str = ""
    first_value: float | None = None
    first_low: float | None = None
    first_high: float | None = None
    first_share: float | None = None
    realized: float | None = None
    version: int | None = None
    spread: float | None = None
    first_spread: float | None = None
    complete: bool = False
    mature: bool = False
    warning: str = ""


class EstimateErrors(msgspec.Struct, frozen=True, kw_only=True):
    """How wrong the estimates of one metric by one method were, over the windows whose truth is mature.

    `mean_absolute_error` and `bias` (estimate less realized) in the metric's units, of what was said when a window was
    over; `covered` is the share of windows whose interval held the realized value (nominal: `confidence`), None for
    methods without intervals. `last_…` are the same of what was said last before truth was mature.
    """

    metric: str
    method: str
    windows: int
    mean_absolute_error: float
    bias: float
    covered: float | None
    last_mean_absolute_error: float
    last_bias: float
    last_covered: float | None
    confidence: float = CONFIDENCE


def errors_of(estimates: list[Estimate]) -> list[EstimateErrors]:
    """The errors by metric and method, "mix" first; windows that had no estimate or have no realized value are left out."""
    groups: dict[tuple[str, str], list[Estimate]] = {}
    for entry in estimates:
        if entry.mature and entry.realized is not None and entry.first_value is not None:
            groups.setdefault((entry.metric, entry.method), []).append(entry)
    ordered = sorted(groups.items(), key=lambda pair: (pair[0][0], pair[0][1] != "mix", pair[0][1]))
    return [_summed(metric, method, entries) for (metric, method), entries in ordered]


def _summed(metric: str, method: str, entries: list[Estimate]) -> EstimateErrors:
    first = [(e.first_value, e.first_low, e.first_high, e.realized) for e in entries]
    last = [(e.value if e.value is not None else e.first_value, e.low, e.high, e.realized) for e in entries]
    error, bias, covered = _errors(first)
    last_error, last_bias, last_covered = _errors(last)
    return EstimateErrors(
        metric=metric,
        method=method,
        windows=len(entries),
        mean_absolute_error=error,
        bias=bias,
        covered=covered,
        last_mean_absolute_error=last_error,
        last_bias=last_bias,
        last_covered=last_covered,
    )


def _errors(
    said: list[tuple[float | None, float | None, float | None, float | None]],
) -> tuple[float, float, float | None]:
    errors = [value - real for value, _, _, real in said if value is not None and real is not None]
    held = [low <= real <= high for _, low, high, real in said if None not in (low, high, real)]  # type: ignore[operator]
    count = max(len(errors), 1)
    covered = sum(held) / len(held) if held else None
    return sum(map(abs, errors)) / count, sum(errors) / count, covered

"""What an alert tells beside its message: which way and by how much, where, since when, at what cost. Pure rules.

"Usually" is the median of the windows before the bad ones, of the same version or slice; without any, the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from loopline.core.performance import LOSSES
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.windows import Window

WORSE_WHEN_HIGHER = LOSSES | {"latency_p99_ms", "error_share"}
NAMED = {"latency_p99_ms": "p99 latency", "error_share": "share of errors"}
UNITS = {"latency_p99_ms": " ms"}
FEW_ROWS = 30  # a slice with fewer says nothing
MOST_SEGMENTS = 5
MOST_BEFORE = 26
Details = dict[str, Any]


class Past:
    """The windows of an endpoint by what they are of."""

    def __init__(self, windows: Sequence[Window], config: MonitorConfig) -> None:
        self.config = config
        self._of: dict[tuple[str, str], list[Window]] = {}
        self._at: dict[str, list[Window]] = {}
        for window in sorted(windows, key=lambda window: window.start):
            self._of.setdefault((window.column, window.value), []).append(window)
            self._at.setdefault(window.start, []).append(window)

    def usual(self, window: Window, metric: str, before: str, mature: bool) -> float | None:
        """The median of a metric over earlier windows of the same kind that started before `before`."""
        same = [each for each in self._of.get((window.column, window.value), ()) if each.start < before]
        known = [each.metrics[metric] for each in same if metric in each.metrics and (each.mature or not mature)]
        return median(known[-MOST_BEFORE:]) if known else None

    def share(self, window: Window, kind: str, column: str, before: str) -> float | None:
        """The same for the share of a column's rows that are missing, unknown or out of contract."""
        same = [each for each in self._of.get(("", ""), ()) if each.start < before and each.complete]
        known = [each.quality[kind].get(column, 0.0) for each in same if kind in each.quality]
        return median(known[-MOST_BEFORE:]) if known else None

    def slices(self, start: str) -> list[Window]:
        """The windows of that start by declared slice."""
        wanted = {*self.config.slices, *self.config.protected, "arm"}
        return [window for window in self._at.get(start, ()) if window.column in wanted]

    def rows(self, start: str) -> int:
        """How many predictions the whole window has."""
        return next((window.predictions for window in self._at.get(start, ()) if window.column == ""), 0)


def of_metric(past: Past, window: Window, metric: str, limit: float | None, since: str) -> Details:
    """A metric that is beyond its limit: performance, latency or errors."""
    needs_truth = metric not in NAMED
    value, usual = window.metrics[metric], past.usual(window, metric, since, needs_truth)
    found: Details = {"metric": metric, "direction": "worse", "effect": effect(metric, value, usual, limit)}
    if usual is not None:
        found |= {"usual": usual, "change": value - usual}
        found["direction"] = "worse" if (value > usual) == (metric in WORSE_WHEN_HIGHER) else "better than usual"
    low, high = (window.metrics.get(f"{metric}_{edge}") for edge in ("low", "high"))
    if low is not None and high is not None:
        found["interval"] = [low, high]
    if needs_truth:
        found["truth_share"] = window.truth_share
    found["segments"] = segments(past, window, metric, since)
    cost = likely_cost(past, window, since)
    return found | ({"cost": cost} if cost else {})


def of_column(past: Past, window: Window, kind: str, column: str, share: float, since: str) -> Details:
    """A column with too many bad values."""
    usual = past.share(window, kind, column, since)
    word = {"missing": "missing", "unknown": "unknown values", "out_of_contract": "out of contract"}[kind]
    before = "" if usual is None else f", usually {100 * usual:.3g} %"
    found: Details = {"kind": kind, "column": column, "direction": "higher"}
    found["effect"] = f"{word} in {column}: {100 * share:.3g} % of rows{before}"
    return found if usual is None else found | {"usual": usual, "change": share - usual}


def effect(metric: str, value: float, usual: float | None, limit: float | None) -> str:
    """By how much a metric moved, in its own units."""
    name, unit = NAMED.get(metric, metric), UNITS.get(metric, "")
    if usual is not None:
        moved = "rose" if value > usual else "fell"
        return f"{name} {moved} by {_shown(abs(value - usual))}{unit}, from {_shown(usual)} to {_shown(value)}{unit}"
    if limit is None:
        return f"{name} is {_shown(value)}{unit}"
    side = "above" if value > limit else "below"
    return f"{name} is {_shown(value)}{unit}, {_shown(abs(value - limit))}{unit} {side} its limit"


def segments(past: Past, window: Window, metric: str, since: str) -> list[Details]:
    """The slices that got worse most, weighted by their share of the rows; none where no slice is declared."""
    rows, found = past.rows(window.start), []
    for each in past.slices(window.start):
        counted = each.labelled if metric not in NAMED else each.predictions
        usual = past.usual(each, metric, since, metric not in NAMED)
        if metric not in each.metrics or usual is None or counted < FEW_ROWS:
            continue
        value, share = each.metrics[metric], each.predictions / rows if rows else 0.0
        worse = (value - usual) if metric in WORSE_WHEN_HIGHER else (usual - value)
        if worse > 0:
            text = (
                f"{each.column} = {each.value}: {_shown(value)}, usually {_shown(usual)} ({100 * share:.0f} % of rows)"
            )
            segment = {"column": each.column, "value": each.value, "metric": value, "usual": usual, "share": share}
            found.append((worse * share, segment | {"text": text}))
    return [segment for _, segment in sorted(found, key=lambda entry: -entry[0])[:MOST_SEGMENTS]]


def likely_cost(past: Past, window: Window, since: str) -> Details | None:
    """What the window probably costs beyond what it usually does, from the costs per row that the monitor declares."""
    now, usual = window.metrics.get("cost"), past.usual(window, "cost", since, True)
    if not past.config.costs or now is None or usual is None or now <= usual:
        return None
    extra = (now - usual) * window.predictions
    text = (
        f"about {extra:.4g} more in the {past.config.window} ({_shown(now)} for a prediction, usually {_shown(usual)}; "
        f"{window.predictions} predictions)"
    )
    return {"per_window": extra, "per_row": now, "usual_per_row": usual, "text": text}


def evidence(details: Mapping[str, Any]) -> str:
    """p-values and e-values in words, as far as there are any."""
    found = [
        f"{name.replace('_', '-')} {details[name]:.2g}" for name in ("p_value", "e_value") if _number(details, name)
    ]
    interval = details.get("interval")
    if isinstance(interval, Sequence) and len(interval) == 2:
        found.append(f"95 % interval {_shown(interval[0])} to {_shown(interval[1])}")
    return ", ".join(found)


def _number(details: Mapping[str, Any], name: str) -> bool:
    return isinstance(details.get(name), int | float)


def _shown(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"

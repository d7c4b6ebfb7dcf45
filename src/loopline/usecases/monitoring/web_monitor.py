"""The page of one model: whether it needs someone, what happened since when, and how good it was over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Page, attempted
from loopline.usecases.monitoring.drawing.heat import cells_of, heat
from loopline.usecases.monitoring.drawing.lines import drawn
from loopline.usecases.monitoring.web_fleet import FLEET_WORDS, TONES

MOST_WINDOWS = 400
MOST_ALERTS = 30
NO_SCORES = ("latency", "error", "rows", "label_mean", "predicted_mean")
Windows = Sequence[Mapping[str, Any]]
Marks = Sequence[Mapping[str, str]]


def head(call: Call, endpoint: str) -> dict[str, Any]:
    """What stands on top of each page of a model: its summary, its state in one sentence, its rules."""
    summary = call("monitoring.summary", endpoint=endpoint)
    rows = call("monitoring.fleet", endpoint=endpoint)["rows"]
    return {
        "summary": summary,
        "glance": rows[0] if rows else None,
        "words_of": FLEET_WORDS,
        "tones": TONES,
        "rules": attempted(call, "monitoring.rules", endpoint=endpoint) or {},
    }


def windows_of(call: Call, endpoint: str) -> list[Any]:
    """The windows of the whole endpoint, oldest first."""
    return sorted(call("monitoring.windows", endpoint=endpoint), key=lambda one: str(one["start"]))[-MOST_WINDOWS:]


def history(call: Call, endpoint: str) -> list[Any]:
    """How unusual each column was in each window, as far as that was kept."""
    found = attempted(call, "monitoring.drift_history", endpoint=endpoint)
    return cells_of(found) if found else []


def monitor(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One monitored endpoint; `metric` in the address chooses what is shown."""
    name = params["endpoint"]
    above = head(call, name)
    summary, windows = above["summary"], windows_of(call, name)
    scores = score_names(windows)
    metric = params.get("metric", "") if params.get("metric") in scores else summary["metric"]
    alerts = call("monitoring.alerts", endpoint=name, limit=MOST_ALERTS)
    marks = [*deployments(call, name), *alert_marks(alerts)]
    estimates = attempted(call, "monitoring.estimates", endpoint=name, metric=metric) or ()
    plot = performance_plot(windows, metric, summary["limits"].get(metric), marks, estimates)
    latency = simple_plot(windows, "latency_p99_ms", "p99 latency, ms", marks, above["rules"].get("latency_ms"))
    errors = simple_plot(windows, "error_share", "share of errors", marks, above["rules"].get("error_share"))
    return {
        **above,
        "windows": windows[::-1],
        "arrived": {row["start"]: row["arrived"] for row in quality_rows(call, name)},
        "scores": scores,
        "metric": metric,
        "alerts": alerts,
        "plot": plot,
        "drawn": drawn(plot),
        "heat": heat(history(call, name), 40, 8),
        "latency": latency and drawn(latency, 520, 190),
        "errors": errors and drawn(errors, 520, 190),
        "marks": marks,
        "estimated": {one["start"]: one for one in estimates if one["value"] is not None},
        "warning": next((one["warning"] for one in reversed(estimates) if one["warning"]), ""),
        "query": {"metric": params.get("metric", "")},
    }


def quality_rows(call: Call, endpoint: str) -> list[Any]:
    """Realized performance by window, with how much of the truth that ever comes has come."""
    found = attempted(call, "monitoring.performance", endpoint=endpoint)
    return list(found["rows"]) if found else []


def score_names(windows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The metrics that compare predictions with truth, as far as any window has them."""
    names = {name for window in windows for name in window["metrics"]}
    return sorted(name for name in names if not name.endswith(("_low", "_high")) and not name.startswith(NO_SCORES))


def performance_plot(
    windows: Windows, metric: str, limit: float | None, marks: Marks, estimates: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """A metric over time with its confidence band, and beside it what was estimated before its truth; provisional
    windows are hollow on hatched ground, deployments and alerts vertical lines."""
    shown = [window for window in windows if metric in window["metrics"]]
    edges = [(one, one["metrics"].get(f"{metric}_low"), one["metrics"].get(f"{metric}_high")) for one in shown]
    series = {
        "name": metric.replace("_", " "),
        "points": [[window["start"], window["metrics"][metric]] for window in shown],
        "band": [[window["start"], low, high] for window, low, high in edges if low is not None and high is not None],
        "hollow": [place for place, window in enumerate(shown) if not window["mature"]],
    }
    limits = [] if limit is None else [{"at": limit, "text": f"limit {limit:.3g}"}]
    both = [series, *estimated_series(estimates, shown[0]["start"] if shown else "")]
    in_time = sorted(marks, key=lambda mark: mark["at"])
    return {"x": "time", "series": both, "marks": in_time, "limits": limits, "areas": provisional(windows)}


def estimated_series(estimates: Sequence[Mapping[str, Any]], since: str) -> list[dict[str, Any]]:
    """What was said of each window as soon as it was over (of those without mature truth: what is said now)."""
    said = []
    for one in estimates:
        kind = "first_" if one["mature"] and one["first_value"] is not None else ""
        value, low, high = (one[kind + name] for name in ("value", "low", "high"))
        if value is not None and one["start"] >= since:
            said.append((one["start"], value, low, high))
    if not said:
        return []
    band = [[at, low, high] for at, _, low, high in said if low is not None and high is not None]
    points = [[at, value] for at, value, _, _ in said]
    return [{"name": "estimated before its truth", "points": points, "band": band, "dashed": True}]


def provisional(windows: Windows) -> list[dict[str, str]]:
    """The stretch in which truth is still to come."""
    waiting = [window for window in windows if not window["mature"]]
    if not waiting or len(waiting) == len(windows):
        return []
    text = "provisional: truth is still to come"
    return [{"from": waiting[0]["start"], "to": max(one["end"] for one in waiting), "text": text}]


def simple_plot(
    windows: Windows, key: str, name: str, marks: Marks, limit: float | None = None
) -> dict[str, Any] | None:
    """One measurement over time, or None when no window has it."""
    points = [[window["start"], window["metrics"][key]] for window in windows if key in window["metrics"]]
    limits = [] if limit is None else [{"at": limit, "text": f"limit {limit:.3g}"}]
    series = [{"name": name, "points": points}]
    return {"x": "time", "from": 0, "series": series, "marks": list(marks), "limits": limits} if points else None


def alert_marks(alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Where each incident began."""
    return [
        {"at": alert["first_window"], "text": alert["cause"].replace("_", " "), "tone": "bad"}
        for alert in alerts
        if alert["first_window"]
    ]


def deployments(call: Call, endpoint: str) -> list[dict[str, str]]:
    """Each revision after the first, on the day of event time on which it first answered."""
    first: dict[int, str] = {}
    for row in attempted(call, "serving.traffic", endpoint=endpoint) or ():
        first[row["revision"]] = min(row["day"], first.get(row["revision"], row["day"]))
    versions = {
        one["revision"]: one["version"] for one in attempted(call, "serving.revisions", endpoint=endpoint) or ()
    }
    later = sorted(first.items())[1:]
    return [{"at": day, "text": f"version {versions.get(revision, '?')}"} for revision, day in later]


PAGES = (Page("/monitors/{endpoint}", "monitor.html", monitor, tab="monitors"),)

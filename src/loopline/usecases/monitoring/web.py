"""Pages of monitoring: all monitors with their alerts, and one with performance, drift and data quality over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Form, Page, attempted

MOST_WINDOWS = 400
MOST_ALERTS = 30
STATES = ("open", "acknowledged", "resolved")
NO_SCORES = ("latency", "error", "rows", "label_mean", "predicted_mean")
QUALITY = {"missing": "missing", "unknown": "never seen in training", "out_of_contract": "out of contract"}


def monitors(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Everything that is watched, and the alerts in the state that the address asks for."""
    state = params.get("state", "") if params.get("state") in STATES else ""
    alerts = call("monitoring.alerts", limit=200)
    return {
        "monitors": call("monitoring.monitors"),
        "alerts": [alert for alert in alerts if not state or alert["state"] == state],
        "state": state,
        "unresolved": {alert["endpoint"] for alert in alerts if alert["state"] != "resolved"},
    }


def monitor(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One monitored endpoint; `window` (a start) and `metric` in the address choose what is shown."""
    name = params["endpoint"]
    summary = call("monitoring.summary", endpoint=name)
    windows = sorted(call("monitoring.windows", endpoint=name), key=lambda one: one["start"])[-MOST_WINDOWS:]
    scores = score_names(windows)
    metric = params.get("metric", "") if params.get("metric") in scores else summary["metric"]
    chosen = chosen_window(windows, params.get("window", ""))
    rules = attempted(call, "monitoring.rules", endpoint=name) or {}
    marks = deployments(call, name)
    limit = summary["limits"].get(metric)
    return {
        "summary": summary,
        "rules": rules,
        "windows": windows[::-1],
        "scores": scores,
        "metric": metric,
        "chosen": chosen,
        "alerts": call("monitoring.alerts", endpoint=name, limit=MOST_ALERTS),
        "plot": performance_plot(windows, metric, limit, marks),
        "latency": simple_plot(windows, "latency_p99_ms", "p99 latency, ms", marks),
        "marks": marks,
        "slices": slices(call, name, rules.get("slices") or (), chosen, metric),
        "drift": attempted(call, "monitoring.drift", endpoint=name, start=chosen["start"]) if chosen else None,
        "quality": quality(chosen),
        "quality_words": QUALITY,
        "query": {"window": params.get("window", ""), "metric": params.get("metric", "")},
    }


def score_names(windows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The metrics that compare predictions with truth, as far as any window has them."""
    names = {name for window in windows for name in window["metrics"]}
    return sorted(name for name in names if not name.endswith(("_low", "_high")) and not name.startswith(NO_SCORES))


def chosen_window(windows: Sequence[Mapping[str, Any]], start: str) -> Mapping[str, Any] | None:
    """The window that the address names, else the newest complete one, else the newest."""
    named = [window for window in windows if window["start"] == start]
    complete = [window for window in windows if window["complete"]]
    candidates = named or complete or windows
    return candidates[-1] if candidates else None


def performance_plot(
    windows: Sequence[Mapping[str, Any]], metric: str, limit: float | None, marks: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """A metric over time with its confidence band; provisional windows are hollow, deployments vertical lines."""
    shown = [window for window in windows if metric in window["metrics"]]
    edges = [
        (window, window["metrics"].get(f"{metric}_low"), window["metrics"].get(f"{metric}_high")) for window in shown
    ]
    series = {
        "name": metric,
        "points": [[window["start"], window["metrics"][metric]] for window in shown],
        "band": [[window["start"], low, high] for window, low, high in edges if low is not None and high is not None],
        "hollow": [place for place, window in enumerate(shown) if not window["mature"]],
    }
    limits = [] if limit is None else [{"at": limit, "text": f"limit {limit:.3g}"}]
    return {"x": "time", "series": [series], "marks": list(marks), "limits": limits}


def simple_plot(
    windows: Sequence[Mapping[str, Any]], key: str, name: str, marks: Sequence[Mapping[str, str]]
) -> dict[str, Any] | None:
    """One measurement over time, or None when no window has it."""
    points = [[window["start"], window["metrics"][key]] for window in windows if key in window["metrics"]]
    return (
        {"x": "time", "from": 0, "series": [{"name": name, "points": points}], "marks": list(marks)} if points else None
    )


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


def slices(
    call: Call, endpoint: str, columns: Sequence[str], chosen: Mapping[str, Any] | None, metric: str
) -> list[dict[str, Any]]:
    """For each slice column the chosen window by value, the worst first."""
    found = []
    for column in columns if chosen else ():
        parts = [
            window
            for window in attempted(call, "monitoring.windows", endpoint=endpoint, column=column) or ()
            if chosen and window["start"] == chosen["start"]
        ]
        parts.sort(key=lambda window: (metric not in window["metrics"], window["metrics"].get(metric, 0)))
        found.append({"column": column, "parts": parts})
    return found


def quality(chosen: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The shares of wrong values by input, the largest first; only inputs that have any."""
    shares = chosen["quality"] if chosen else {}
    names = sorted({name for kind in QUALITY for name, share in shares.get(kind, {}).items() if share})
    rows = [{"name": name, **{kind: shares.get(kind, {}).get(name) for kind in QUALITY}} for name in names]
    return sorted(rows, key=lambda row: -max(row[kind] or 0 for kind in QUALITY))


PAGES = (
    Page("/monitors", "monitors.html", monitors, tab="monitors"),
    Page("/monitors/{endpoint}", "monitor.html", monitor, tab="monitors"),
)
FORMS = (
    Form("/monitors/{endpoint}/alerts/{alert}/acknowledge", "monitoring.acknowledge", "/monitors/{endpoint}#alerts"),
    Form("/monitors/{endpoint}/alerts/{alert}/resolve", "monitoring.resolve", "/monitors/{endpoint}#alerts"),
)

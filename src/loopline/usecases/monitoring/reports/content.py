"""What a report on one endpoint says, asked with the verbs that pages use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.errors import NotFound
from loopline.core.pages import Call, attempted
from loopline.usecases.monitoring.web_drift import chosen_window, quality
from loopline.usecases.monitoring.web_monitor import alert_marks, deployments, history, windows_of

KIND = "loopline.report/1"
SEGMENT_ROWS = 12


def on_endpoint(call: Call, endpoint: str, start: str = "") -> dict[str, Any]:
    """All of a report, as plain data; the newest complete window, or the one that begins at `start`.

    The fields of the drift report stand on top (version, start, window, rows_then, rows_now, columns, …), the others
    beside them. NotFound without an evaluated window.
    """
    drift, why = _drift(call, endpoint, start)
    windows = windows_of(call, endpoint)
    if not windows and drift is None:
        raise NotFound(f"Endpoint {endpoint!r} has no window.", "`loopline monitor` lists what is watched.")
    chosen = chosen_window(windows, drift["start"] if drift else _moment(windows, start))
    rules = attempted(call, "monitoring.rules", endpoint=endpoint) or {}
    alerts = call("monitoring.alerts", endpoint=endpoint, state="open")
    rows = call("monitoring.fleet", endpoint=endpoint)["rows"]
    summary = call("monitoring.summary", endpoint=endpoint)
    return {
        **(drift or {"start": chosen["start"] if chosen else "", "columns": []}),
        "kind": KIND,
        "endpoint": endpoint,
        "summary": summary,
        "glance": rows[0] if rows else None,
        "drift_missing": why,
        "history": history(call, endpoint),
        "windows": windows,
        "estimates": attempted(call, "monitoring.estimates", endpoint=endpoint, metric=summary["metric"]) or [],
        "chosen": chosen,
        "quality": quality(chosen),
        "segments": segments(call, endpoint, rules.get("slices") or (), chosen),
        "alerts": alerts,
        "marks": [*deployments(call, endpoint), *alert_marks(alerts)],
        "commands": commands(endpoint, alerts),
        "rules": rules,
    }


def _drift(call: Call, endpoint: str, start: str) -> tuple[Any, str]:
    """The drift report of the window, or why there is none."""
    try:
        return call("monitoring.drift", endpoint=endpoint, start=start), ""
    except NotFound as error:
        if start or not windows_of(call, endpoint):
            raise
        return None, error.message


def _moment(windows: Sequence[Mapping[str, Any]], start: str) -> str:
    return next((str(one["start"]) for one in windows if str(one["start"]).startswith(start)), "") if start else ""


def segments(
    call: Call, endpoint: str, columns: Sequence[str], chosen: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The values of each segment column in the window, those with most predictions first."""
    found = []
    for column in columns if chosen else ():
        windows = attempted(call, "monitoring.windows", endpoint=endpoint, column=column) or ()
        parts = [one for one in windows if chosen and one["start"] == chosen["start"]]
        parts.sort(key=lambda one: -one["predictions"])
        found.append({"column": column, "parts": parts[:SEGMENT_ROWS], "more": max(len(parts) - SEGMENT_ROWS, 0)})
    return [one for one in found if one["parts"]]


def commands(endpoint: str, alerts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to type next: what the alerts name, else where to look."""
    named = [str(command) for alert in alerts for command in alert.get("details", {}).get("commands", ())]
    own = [f"loopline ack {alert['id']}" for alert in alerts] if not named else []
    return list(dict.fromkeys([*named, *own, f"loopline monitor {endpoint}"]))[:8]

"""Why one model's limits are what they are, which alerts they opened, and how many of these were real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Form, Page, attempted
from loopline.usecases.monitoring.web_monitor import head

MOST_ALERTS = 100
MOST_MESSAGES = 30
MOST_REPLAYS = 10
ONE = "/monitors/{endpoint}/alerts/{alert}"
BACK = "/monitors/{endpoint}#alert-{alert}"


def limits(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Limits with their reasons, the alert budget, all alerts with what people said of them."""
    name = params["endpoint"]
    above = head(call, name)
    budget = attempted(call, "monitoring.budget", endpoint=name)
    precision = attempted(call, "monitoring.precision", endpoint=name) or [None]
    sent = attempted(call, "monitoring.deliveries", limit=500) or ()
    return {
        **above,
        "limits": [
            {"metric": metric, "limit": limit, "why": why(metric, above["rules"], budget)}
            for metric, limit in sorted(above["summary"]["limits"].items())
        ],
        "budget": budget,
        "replays": (attempted(call, "monitoring.backtests", endpoint=name) or [])[:MOST_REPLAYS],
        "precision": precision[0],
        "alerts": call("monitoring.alerts", endpoint=name, limit=MOST_ALERTS),
        "deliveries": [one for one in sent if one["endpoint"] == name][:MOST_MESSAGES],
    }


def why(metric: str, rules: Mapping[str, Any], budget: Mapping[str, Any] | None) -> str:
    """Where the limit of a metric comes from."""
    for entry in rules.get("quality") or ():
        if entry["metric"] == metric and entry.get("lower_limit") is not None:
            return "written in loopline.yaml"
    if rules.get("metric") == metric and rules.get("lower_limit") is not None:
        return "written in loopline.yaml"
    if budget and metric in (budget.get("limits") or {}):
        return f"set by the alert budget of {budget['per_quarter']:g} false alarms a quarter"
    return "the baseline that the live version was registered with"


PAGES = (Page("/monitors/{endpoint}/limits", "limits.html", limits, tab="monitors"),)
FORMS = (
    Form(f"{ONE}/acknowledge", "monitoring.acknowledge", "/monitors/{endpoint}#alerts"),
    Form(f"{ONE}/resolve", "monitoring.resolve", "/monitors/{endpoint}#alerts"),
    Form(f"{ONE}/judge", "monitoring.judge", BACK),
    Form(f"{ONE}/blame", "monitoring.blame", BACK),
    Form("/alerts/{alert}/acknowledge", "monitoring.acknowledge", "/monitors#alerts"),
    Form("/alerts/{alert}/resolve", "monitoring.resolve", "/monitors#alerts"),
    Form("/alerts/{alert}/judge", "monitoring.judge", "/monitors#alerts"),
)

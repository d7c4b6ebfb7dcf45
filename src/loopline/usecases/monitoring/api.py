"""The verbs of monitoring as the outside calls them."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring import alerts_api, budget_api, drift_api, estimates_api, fleet_api, quality_api
from loopline.usecases.monitoring.model import Alert, MonitorConfig, Summary, Window


class Nothing(msgspec.Struct):
    pass


class Of(msgspec.Struct):
    endpoint: str


class WindowsOf(msgspec.Struct):
    """`column`: '' for the whole endpoint, "version", or a slice column. `since`, `until`: ISO 8601 bounds of starts."""

    endpoint: str
    column: str = ""
    since: str = ""
    until: str = ""


class DriftOf(msgspec.Struct):
    """`start`: the first moment of a window (ISO 8601); '' for the newest complete one."""

    endpoint: str
    start: str = ""


class AlertsOf(msgspec.Struct):
    """`state`: '' for all, open (not resolved), acknowledged or resolved."""

    endpoint: str = ""
    state: str = ""
    limit: int = 100


class Noted(msgspec.Struct):
    alert: str
    note: str = ""


class Evaluation(msgspec.Struct):
    """`summary` is None while the endpoint has no prediction."""

    endpoint: str
    summary: Summary | None


def monitors(monitoring: Any, request: Nothing, caller: Caller) -> list[Summary]:
    return list(monitoring.summaries())


def summary(monitoring: Any, request: Of, caller: Caller) -> Summary:
    found: Summary = monitoring.summary(request.endpoint)
    return found


def rules(monitoring: Any, request: Of, caller: Caller) -> MonitorConfig:
    found: MonitorConfig = monitoring.rules(request.endpoint)
    return found


def evaluate(monitoring: Any, request: Of, caller: Caller) -> Evaluation:
    return Evaluation(request.endpoint, monitoring.evaluate(request.endpoint))


def windows(monitoring: Any, request: WindowsOf, caller: Caller) -> list[Window]:
    return list(monitoring.windows(request.endpoint, request.column, request.since, request.until))


def drift(monitoring: Any, request: DriftOf, caller: Caller) -> Any:
    return monitoring.drift(request.endpoint, request.start)


def alerts(monitoring: Any, request: AlertsOf, caller: Caller) -> list[Alert]:
    return list(monitoring.alerts(request.endpoint, request.state, request.limit))


def acknowledge(monitoring: Any, request: Noted, caller: Caller) -> Alert:
    found: Alert = monitoring.acknowledge(request.alert, caller.name, request.note)
    return found


def resolve(monitoring: Any, request: Noted, caller: Caller) -> Alert:
    found: Alert = monitoring.resolve(request.alert, caller.name, request.note)
    return found


_ONE = "/monitors/{endpoint}"
_ALERT = "/alerts/{alert}"
VERBS: tuple[Verb, ...] = (
    Verb("monitoring.monitors", "GET", "/monitors", Role.VIEWER, Nothing, monitors, "List monitored endpoints"),
    Verb("monitoring.summary", "GET", _ONE, Role.VIEWER, Of, summary, "Show an endpoint's monitoring at a glance"),
    Verb("monitoring.rules", "GET", _ONE + "/rules", Role.VIEWER, Of, rules, "Show what is watched on an endpoint"),
    Verb("monitoring.evaluate", "POST", _ONE + "/evaluate", Role.EDITOR, Of, evaluate, "Evaluate what is new"),
    Verb("monitoring.windows", "GET", _ONE + "/windows", Role.VIEWER, WindowsOf, windows, "Show performance over time"),
    Verb("monitoring.drift", "GET", _ONE + "/drift", Role.VIEWER, DriftOf, drift, "Show drift against training"),
    Verb("monitoring.alerts", "GET", "/alerts", Role.VIEWER, AlertsOf, alerts, "List alerts"),
    Verb("monitoring.acknowledge", "POST", _ALERT + "/acknowledge", Role.EDITOR, Noted, acknowledge, "Look after it"),
    Verb("monitoring.resolve", "POST", _ALERT + "/resolve", Role.EDITOR, Noted, resolve, "Close an alert"),
    *fleet_api.VERBS,
    *alerts_api.VERBS,
    *budget_api.VERBS,
    *drift_api.VERBS,
    *estimates_api.VERBS,
    *quality_api.VERBS,
)

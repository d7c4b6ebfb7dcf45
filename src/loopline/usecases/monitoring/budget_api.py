"""The verbs that look back: blame, backtest, budget."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring.model.blame.results import Blame
from loopline.usecases.monitoring.model.budget.results import Choice


class BlameOf(msgspec.Struct):
    """An alert by its id."""

    alert: str


class BlameBetween(msgspec.Struct):
    """Two windows of an endpoint by their starts (ISO 8601): '' are the newest complete one, and the good ones before
    it. `metric`: '' for the one that stands for the endpoint."""

    endpoint: str
    window: str = ""
    against: str = ""
    metric: str = ""


def blame(monitoring: Any, request: BlameOf, caller: Caller) -> Blame:
    found: Blame = monitoring.blame(request.alert)
    return found


def compare(monitoring: Any, request: BlameBetween, caller: Caller) -> Blame:
    if not request.endpoint:
        raise Invalid("No endpoint is named.", "`loopline endpoints` lists them.")
    found: Blame = monitoring.blame("", request.endpoint, request.window, request.against, request.metric)
    return found


def blamable(monitoring: Any, request: BlameOf) -> object:
    return monitoring.blamable(request.alert, "")


def comparable(monitoring: Any, request: BlameBetween) -> object:
    return monitoring.blamable("", request.endpoint)


class BudgetOf(msgspec.Struct):
    """An endpoint."""

    endpoint: str


def budget(monitoring: Any, request: BudgetOf, caller: Caller) -> Choice:
    found: Choice = monitoring.budget(request.endpoint)
    return found


_ONE = "/monitors/{endpoint}"
VERBS: tuple[Verb, ...] = (
    Verb(
        "monitoring.blame",
        "POST",
        "/alerts/{alert}/blame",
        Role.VIEWER,
        BlameOf,
        blame,
        "Say what explains an alert",
        loads=blamable,
    ),
    Verb(
        "monitoring.compare",
        "POST",
        _ONE + "/blame",
        Role.VIEWER,
        BlameBetween,
        compare,
        "Say what explains the change between two windows",
        loads=comparable,
    ),
    Verb(
        "monitoring.budget",
        "GET",
        _ONE + "/budget",
        Role.VIEWER,
        BudgetOf,
        budget,
        "Say why limits are what the alert budget made them",
    ),
)

"""The verbs that look back: blame, backtest, budget."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring.model.blame.results import Blame
from loopline.usecases.monitoring.model.budget.results import Backtest, Choice


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


class BacktestOf(msgspec.Struct):
    """`since`, `until`: event times (ISO 8601), '' for all. `plants`: changes as KIND:COLUMN:SIZE@DATE. `rules`: rules of
    the monitor by dotted name that are other than written. `keep`: store the answer."""

    endpoint: str
    since: str = ""
    until: str = ""
    plants: list[str] = []
    rules: dict[str, Any] = {}
    keep: bool = False


def backtest(monitoring: Any, request: BacktestOf, caller: Caller) -> Backtest:
    found: Backtest = monitoring.backtest(
        request.endpoint, request.since, request.until, request.plants, request.rules, request.keep, caller.name
    )
    return found


def replayable(monitoring: Any, request: BacktestOf) -> object:
    return monitoring.blamable("", request.endpoint)


def backtests(monitoring: Any, request: BudgetOf, caller: Caller) -> list[Backtest]:
    return list(monitoring.backtests(request.endpoint))


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
    Verb(
        "monitoring.backtest",
        "POST",
        _ONE + "/backtest",
        Role.EDITOR,
        BacktestOf,
        backtest,
        "Replay history under these or other rules",
        loads=replayable,
    ),
    Verb(
        "monitoring.backtests",
        "GET",
        _ONE + "/backtests",
        Role.VIEWER,
        BudgetOf,
        backtests,
        "List backtests that were kept",
    ),
)

"""The verbs of automation as the outside calls them."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.automation.model import Firing, Graph, Hold, Standing, Why


class Nothing(msgspec.Struct):
    pass


class Listed(msgspec.Struct):
    """Firings of one policy, or of all when `policy` is empty."""

    policy: str = ""
    limit: int = 50


class One(msgspec.Struct):
    firing: str


class Fire(msgspec.Struct):
    """`project` is needed when several have a policy of that name; `params` replace some of the policy's own."""

    policy: str
    project: str = ""
    params: dict[str, Any] = {}


def policies(automation: Any, request: Nothing, caller: Caller) -> list[Standing]:
    return list(automation.policies())


def firings(automation: Any, request: Listed, caller: Caller) -> list[Firing]:
    return list(automation.firings(request.policy, request.limit))


def why(automation: Any, request: One, caller: Caller) -> Why:
    found: Why = automation.why(request.firing)
    return found


def fire(automation: Any, request: Fire, caller: Caller) -> Firing:
    made: Firing = automation.fire(request.policy, caller.name, request.project, request.params)
    return made


def graph(automation: Any, request: Nothing, caller: Caller) -> Graph:
    found: Graph = automation.graph()
    return found


class Held(msgspec.Struct):
    """`everything`: those of the past too."""

    everything: bool = False


class OfModel(msgspec.Struct):
    model: str


def holds(automation: Any, request: Held, caller: Caller) -> list[Hold]:
    return list(automation.holds(request.everything))


def lift(automation: Any, request: OfModel, caller: Caller) -> list[Hold]:
    return list(automation.lift(request.model, caller.name))


VERBS: tuple[Verb, ...] = (
    Verb("automation.holds", "GET", "/holds", Role.VIEWER, Held, holds, "List models whose releases are held"),
    Verb("automation.lift", "POST", "/holds/{model}/lift", Role.ADMIN, OfModel, lift, "Let a model's releases go on"),
    Verb("automation.policies", "GET", "/policies", Role.VIEWER, Nothing, policies, "List policies and how they stand"),
    Verb("automation.firings", "GET", "/firings", Role.VIEWER, Listed, firings, "List firings, newest first"),
    Verb("automation.why", "GET", "/firings/{firing}", Role.VIEWER, One, why, "Say why a policy fired and what it did"),
    Verb("automation.graph", "GET", "/automation/graph", Role.VIEWER, Nothing, graph, "Show what starts what"),
    Verb("automation.fire", "POST", "/policies/{policy}/fire", Role.EDITOR, Fire, fire, "Set a policy off by hand"),
)

"""The verbs of rules for people and programs."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.serving.rules.model import Rules


class Listed(msgspec.Struct):
    """All rules, or those of one name."""

    name: str = ""


class Put(msgspec.Struct):
    """A file of rules as text."""

    name: str
    source: str


class Numbered(msgspec.Struct):
    """A version of rules."""

    name: str
    number: int


def rules(serving: Any, request: Listed, caller: Caller) -> list[Rules]:
    return list(serving.rules(request.name))


def put(serving: Any, request: Put, caller: Caller) -> Rules:
    made: Rules = serving.put_rules(request.name, request.source, caller.name)
    return made


def rule(serving: Any, request: Numbered, caller: Caller) -> Rules:
    found: Rules = serving.rule(f"{request.name}/{request.number}")
    return found


RULE_VERBS = (
    Verb("serving.rules", "GET", "/serving/rules", Role.VIEWER, Listed, rules, "List business rules"),
    Verb("serving.put_rules", "POST", "/serving/rules/{name}", Role.EDITOR, Put, put, "Keep business rules"),
    Verb("serving.rule", "GET", "/serving/rules/{name}/{number}", Role.VIEWER, Numbered, rule, "Show business rules"),
)

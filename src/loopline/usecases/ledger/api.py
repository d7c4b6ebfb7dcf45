"""The ledger's verbs."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.facts import Fact
from loopline.core.verbs import Caller, Role, Verb


class Since(msgspec.Struct):
    """Facts after number `after`, or the newest when `newest` is set."""

    after: int = 0
    limit: int = 100
    kind: str = ""
    newest: bool = False


class About(msgspec.Struct):
    subject: str


def facts(ledger: Any, request: Since, caller: Caller) -> list[Fact]:
    limit = max(1, min(request.limit, 1000))
    if request.newest:
        return list(ledger.latest(limit))
    return list(ledger.since(request.after, limit, request.kind))


def about(ledger: Any, request: About, caller: Caller) -> list[Fact]:
    return list(ledger.about(request.subject))


VERBS = (
    Verb("ledger.facts", "GET", "/ledger/facts", Role.VIEWER, Since, facts, "List facts in order"),
    Verb("ledger.about", "GET", "/ledger/about", Role.VIEWER, About, about, "List all facts about one thing"),
)

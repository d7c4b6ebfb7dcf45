"""The ledger's verbs."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.facts import Fact
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.ledger.model import Kind


class Since(msgspec.Struct):
    """Facts after number `after`, oldest first; or with `newest` those before number `before` (0: all), newest first,
    where `kind` may be a thing ("run") and `subject` and `actor` narrow further."""

    after: int = 0
    limit: int = 100
    kind: str = ""
    newest: bool = False
    before: int = 0
    subject: str = ""
    actor: str = ""


class Nothing(msgspec.Struct):
    pass


class About(msgspec.Struct):
    subject: str


def facts(ledger: Any, request: Since, caller: Caller) -> list[Fact]:
    limit = max(1, min(request.limit, 1000))
    if request.newest:
        return list(ledger.latest(limit, request.before, request.kind, request.subject, request.actor))
    return list(ledger.since(request.after, limit, request.kind))


def about(ledger: Any, request: About, caller: Caller) -> list[Fact]:
    return list(ledger.about(request.subject))


def kinds(ledger: Any, request: Nothing, caller: Caller) -> list[Kind]:
    return list(ledger.kinds())


VERBS = (
    Verb("ledger.facts", "GET", "/ledger/facts", Role.VIEWER, Since, facts, "List facts in order"),
    Verb("ledger.about", "GET", "/ledger/about", Role.VIEWER, About, about, "List all facts about one thing"),
    Verb("ledger.kinds", "GET", "/ledger/kinds", Role.VIEWER, Nothing, kinds, "Count the facts of each kind"),
)

"""The verbs of promotion as the outside calls them."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.promotion.model import Approval, Gate, GateConfig, Standing
from loopline.usecases.promotion.model.sides import Sides


class GateOf(msgspec.Struct):
    """Which version to judge for which alias."""

    model: str
    version: int
    alias: str


class Listed(msgspec.Struct):
    """Gates of one model, or of all when `model` is empty."""

    model: str = ""
    limit: int = 50


class One(msgspec.Struct):
    id: str


class Approve(msgspec.Struct):
    """`alias` picks the gate when a version was judged for several."""

    model: str
    version: int
    alias: str = ""
    note: str = ""


class Back(msgspec.Struct):
    model: str
    alias: str
    reason: str = ""


class AliasOf(msgspec.Struct):
    model: str
    alias: str


class Reference(msgspec.Struct):
    """A version as people write it: `model:3`, or `3` when there is one model."""

    version: str


class Resolved(msgspec.Struct):
    model: str
    version: int


class RolledBack(msgspec.Struct):
    model: str
    alias: str
    version: int


class Several(msgspec.Struct):
    """`versions` as "3,4"; the rows are those held out of version `on` (0: of the newest that has some)."""

    model: str
    versions: str
    on: int = 0


class Beside(msgspec.Struct):
    """What was measured, or None; whether somebody is about to measure it, or why it could not be."""

    sides: Sides | None
    open: bool = False
    problem: str = ""


def judgeable(promotion: Any, request: GateOf) -> None:
    """What of a gate can be refused without a model."""
    promotion.judgeable(request.model, request.version, request.alias)


def measurable(promotion: Any, request: Several) -> None:
    """What of a measurement can be refused without a model."""
    promotion.sides(request.model, numbers(request.versions), request.on)


def side_by_side(promotion: Any, request: Several, caller: Caller) -> Sides:
    found: Sides = promotion.side_by_side(request.model, numbers(request.versions), request.on)
    return found


def sides(promotion: Any, request: Several, caller: Caller) -> Beside:
    """What is known, without loading a model."""
    found = promotion.sides(request.model, numbers(request.versions), request.on)
    asked = promotion.last_asked("promotion.side_by_side", msgspec.structs.asdict(request))
    failed = asked is not None and asked.state == "failed" and found is None
    problem = msgspec.json.decode(asked.answer)["message"] if failed else ""
    return Beside(found, asked is not None and asked.state == "open", problem)


def ask(promotion: Any, request: Several, caller: Caller) -> Beside:
    """Have it measured by the worker; `promotion.sides` tells when it is there."""
    promotion.sides(request.model, numbers(request.versions), request.on)  # what cannot be is said at once
    promotion.ask("promotion.side_by_side", msgspec.structs.asdict(request), caller.name, int(caller.role))
    return sides(promotion, request, caller)


def numbers(text: str) -> list[int]:
    """ "3,4" as numbers; Invalid for anything else."""
    found = [one.strip() for one in text.split(",") if one.strip()]
    if not all(one.isascii() and one.isdecimal() and len(one) <= 9 for one in found):
        raise Invalid(f"{text[:80]!r} names no versions.", "Write their numbers with commas: 3,4.")
    return [int(one) for one in found]


def gate(promotion: Any, request: GateOf, caller: Caller) -> Gate:
    found: Gate = promotion.gate(request.model, request.version, request.alias, caller.name)
    return found


def gates(promotion: Any, request: Listed, caller: Caller) -> list[Gate]:
    return list(promotion.gates(request.model, request.limit))


def verdict(promotion: Any, request: One, caller: Caller) -> Gate:
    found: Gate = promotion.verdict(request.id)
    return found


def standing(promotion: Any, request: GateOf, caller: Caller) -> Standing:
    found: Standing = promotion.standing(request.model, request.version, request.alias)
    return found


def rules(promotion: Any, request: AliasOf, caller: Caller) -> GateConfig:
    found: GateConfig = promotion.rules(request.model, request.alias)
    return found


def approve(promotion: Any, request: Approve, caller: Caller) -> Approval:
    given: Approval = promotion.approve(request.model, request.version, caller.name, request.alias, request.note)
    return given


def promote(promotion: Any, request: GateOf, caller: Caller) -> Standing:
    moved: Standing = promotion.promote(request.model, request.version, request.alias, caller.name)
    return moved


def rollback(promotion: Any, request: Back, caller: Caller) -> RolledBack:
    version = promotion.rollback(request.model, request.alias, caller.name, request.reason)
    return RolledBack(request.model, request.alias, version)


def resolve(promotion: Any, request: Reference, caller: Caller) -> Resolved:
    return Resolved(*promotion.resolve(request.version))


_VERSION = "/models/{model}/versions/{version}"
_ALIAS = "/models/{model}/aliases/{alias}"
_STANDING = _VERSION + "/standing/{alias}"
_BACK = _ALIAS + "/rollback"
_SIDES = "/models/{model}/side-by-side"
VERBS: tuple[Verb, ...] = (
    Verb(
        "promotion.gate",
        "POST",
        _VERSION + "/gates",
        Role.EDITOR,
        GateOf,
        gate,
        "Judge a version for an alias",
        loads=judgeable,
    ),
    Verb(
        "promotion.side_by_side",
        "POST",
        _SIDES,
        Role.EDITOR,
        Several,
        side_by_side,
        "Measure versions on the same held-out rows",
        loads=measurable,
    ),
    Verb("promotion.sides", "GET", _SIDES, Role.VIEWER, Several, sides, "Show what was measured of versions"),
    Verb("promotion.ask", "POST", _SIDES + "/requests", Role.EDITOR, Several, ask, "Have versions measured"),
    Verb("promotion.gates", "GET", "/gates", Role.VIEWER, Listed, gates, "List gates, newest first"),
    Verb("promotion.verdict", "GET", "/gates/{id}", Role.VIEWER, One, verdict, "Show one gate with its evidence"),
    Verb("promotion.standing", "GET", _STANDING, Role.VIEWER, GateOf, standing, "Show what a candidate lacks"),
    Verb("promotion.rules", "GET", _ALIAS + "/gate", Role.VIEWER, AliasOf, rules, "Show the gate of an alias"),
    Verb("promotion.approve", "POST", _VERSION + "/approvals", Role.APPROVER, Approve, approve, "Approve a candidate"),
    Verb("promotion.promote", "POST", _VERSION + "/promote", Role.APPROVER, GateOf, promote, "Move a gated alias"),
    Verb("promotion.rollback", "POST", _BACK, Role.APPROVER, Back, rollback, "Move an alias back"),
    Verb("promotion.resolve", "GET", "/resolve", Role.VIEWER, Reference, resolve, "Say which version a text names"),
)

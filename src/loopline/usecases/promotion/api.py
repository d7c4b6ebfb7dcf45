"""The verbs of promotion as the outside calls them."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.promotion.model import Approval, Gate, GateConfig, Standing


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
VERBS: tuple[Verb, ...] = (
    Verb("promotion.gate", "POST", _VERSION + "/gates", Role.EDITOR, GateOf, gate, "Judge a version for an alias"),
    Verb("promotion.gates", "GET", "/gates", Role.VIEWER, Listed, gates, "List gates, newest first"),
    Verb("promotion.verdict", "GET", "/gates/{id}", Role.VIEWER, One, verdict, "Show one gate with its evidence"),
    Verb("promotion.standing", "GET", _STANDING, Role.VIEWER, GateOf, standing, "Show what a candidate lacks"),
    Verb("promotion.rules", "GET", _ALIAS + "/gate", Role.VIEWER, AliasOf, rules, "Show the gate of an alias"),
    Verb("promotion.approve", "POST", _VERSION + "/approvals", Role.APPROVER, Approve, approve, "Approve a candidate"),
    Verb("promotion.promote", "POST", _VERSION + "/promote", Role.APPROVER, GateOf, promote, "Move a gated alias"),
    Verb("promotion.rollback", "POST", _BACK, Role.APPROVER, Back, rollback, "Move an alias back"),
    Verb("promotion.resolve", "GET", "/resolve", Role.VIEWER, Reference, resolve, "Say which version a text names"),
)

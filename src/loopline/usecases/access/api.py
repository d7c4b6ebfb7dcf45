"""The verbs of access."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.access.model import NewToken, Token


class Nothing(msgspec.Struct):
    pass


class New(msgspec.Struct):
    """`endpoints` limits the token to those; `expires` says after how long it ends, as "30d"."""

    name: str
    role: str = "viewer"
    endpoints: list[str] | None = None
    expires: str | None = None


class Named(msgspec.Struct):
    name: str


class Code(msgspec.Struct):
    """A one-time sign-in code."""

    code: str


def new(access: Any, request: New, caller: Caller) -> NewToken:
    made: NewToken = access.new(request.name, request.role, caller.name, request.endpoints, request.expires)
    return made


def listed(access: Any, request: Nothing, caller: Caller) -> list[Token]:
    return list(access.tokens())


def revoke(access: Any, request: Named, caller: Caller) -> None:
    access.revoke(request.name, caller.name)


def code(access: Any, request: Nothing, caller: Caller) -> Code:
    return Code(access.code())


def who(access: Any, request: Nothing, caller: Caller) -> dict[str, Any]:
    told: dict[str, Any] = {"name": caller.name, "role": caller.role.name.lower()}
    return told if caller.endpoints is None else {**told, "endpoints": caller.endpoints}


VERBS = (
    Verb("access.who", "GET", "/access/who", Role.VIEWER, Nothing, who, "Say who is asking"),
    Verb("access.new", "POST", "/access/tokens", Role.ADMIN, New, new, "Make a token"),
    Verb("access.tokens", "GET", "/access/tokens", Role.ADMIN, Nothing, listed, "List tokens"),
    Verb("access.revoke", "DELETE", "/access/tokens/{name}", Role.ADMIN, Named, revoke, "Revoke a token"),
    Verb("access.code", "POST", "/access/codes", Role.ADMIN, Nothing, code, "Make a one-time sign-in code"),
)

"""A verb: one thing that a person or program can ask of Loopline, the same through SDK, command line and HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Role(IntEnum):
    """What a caller may do; each role may do all that the roles below it may."""

    VIEWER = 1
    EDITOR = 2
    APPROVER = 3
    ADMIN = 4


@dataclass(frozen=True)
class Caller:
    """Who asks: the name that facts are written under, and the role. With `endpoints`, those alone may be asked, for
    predictions (and told the truth, as editor); nothing else may."""

    name: str
    role: Role
    endpoints: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Verb:
    """`call(service, request, caller)` answers a msgspec-encodable value, or raises a LooplineError.

    `name` is "<use-case>.<verb>"; `path` lies under /api/v1 and its {placeholders} are fields of `request`,
    a msgspec.Struct filled from the path, the query and the JSON body. A verb that loads models is not done in the process
    that answers HTTP, which has it done by another once `loads(service, request)` has raised nothing.
    """

    name: str
    method: str
    path: str
    role: Role
    request: type[Any]
    call: Callable[[Any, Any, Caller], Any]
    summary: str
    loads: Callable[[Any, Any], object] | None = None

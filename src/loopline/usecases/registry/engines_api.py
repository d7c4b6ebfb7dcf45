"""The registry's verbs about engines."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.registry.engines_model import Choice


class Compile(msgspec.Struct):
    """`again`: also when an engine was chosen already."""

    model: str
    version: int
    again: bool = False


class Of(msgspec.Struct):
    model: str


class Chosen(msgspec.Struct):
    """`engine` is None as long as nothing was chosen on a machine like the server's."""

    model: str
    version: int
    engine: Choice | None


class One(msgspec.Struct):
    model: str
    version: int


def compiled(registry: Any, request: Compile, caller: Caller) -> Any:
    return registry.compile(request.model, request.version, caller.name, request.again)


def compilable(registry: Any, request: Compile) -> object:
    return registry.compilable(request.model, request.version)


def engine(registry: Any, request: One, caller: Caller) -> Chosen:
    registry.version(request.model, request.version)
    return Chosen(request.model, request.version, registry.engine(request.model, request.version))


def engines(registry: Any, request: Of, caller: Caller) -> list[Choice]:
    return list(registry.engines_of(request.model))


ENGINE_VERBS = (
    Verb(
        "registry.compile",
        "POST",
        "/models/{model}/versions/{version}/engine",
        Role.EDITOR,
        Compile,
        compiled,
        "Choose the engine that runs a version here",
        loads=compilable,
    ),
    Verb(
        "registry.engine",
        "GET",
        "/models/{model}/versions/{version}/engine",
        Role.VIEWER,
        One,
        engine,
        "Show which engine runs a version here",
    ),
    Verb(
        "registry.engines",
        "GET",
        "/models/{model}/engines",
        Role.VIEWER,
        Of,
        engines,
        "Show which engines run the versions of a model here",
    ),
)

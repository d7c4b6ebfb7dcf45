"""The registry's verbs for people and programs."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.registry.cards_api import CARD_VERBS
from loopline.usecases.registry.engines_api import ENGINE_VERBS
from loopline.usecases.registry.model import AliasMove, RegisteredModel, Version


class Models(msgspec.Struct):
    """Nothing to say."""


class Model(msgspec.Struct):
    model: str


class OfRun(msgspec.Struct):
    run_id: str


class Numbered(msgspec.Struct):
    model: str
    version: int


class Reference(msgspec.Struct):
    """`model/3`, `model@alias` or `model` for the newest."""

    reference: str


class Alias(msgspec.Struct):
    """`at` (ISO 8601) asks where the alias pointed then."""

    model: str
    alias: str
    at: str = ""


class Take(msgspec.Struct):
    """`kept` names what the run kept under models/."""

    model: str
    run_id: str
    kept: str


class Standing(msgspec.Struct):
    """Where an alias points (or pointed at the time asked for), and its moves, oldest first."""

    model: str
    alias: str
    version: int | None
    history: list[AliasMove]


def models(registry: Any, request: Models, caller: Caller) -> list[RegisteredModel]:
    return list(registry.models())


def versions(registry: Any, request: Model, caller: Caller) -> list[Version]:
    return list(registry.versions(request.model))


def version(registry: Any, request: Numbered, caller: Caller) -> Any:
    return registry.version(request.model, request.version)


def of_run(registry: Any, request: OfRun, caller: Caller) -> list[Version]:
    return list(registry.versions_of_run(request.run_id))


def find(registry: Any, request: Reference, caller: Caller) -> Any:
    return registry.find(request.reference)


def aliases(registry: Any, request: Model, caller: Caller) -> dict[str, int]:
    return dict(registry.aliases(request.model))


def alias(registry: Any, request: Alias, caller: Caller) -> Standing:
    if request.at:
        number = registry.alias_at(request.model, request.alias, request.at)
    else:
        number = registry.alias(request.model, request.alias)
    history = registry.alias_history(request.model, request.alias)
    return Standing(model=request.model, alias=request.alias, version=number, history=history)


def take(registry: Any, request: Take, caller: Caller) -> Any:
    return registry.take(request.model, request.run_id, request.kept, caller.name)


VERBS = (
    Verb("registry.models", "GET", "/models", Role.VIEWER, Models, models, "List registered models"),
    Verb("registry.find", "GET", "/model-versions", Role.VIEWER, Reference, find, "Find the version a reference names"),
    Verb("registry.of_run", "GET", "/run-versions/{run_id}", Role.VIEWER, OfRun, of_run, "List what a run registered"),
    Verb("registry.versions", "GET", "/models/{model}/versions", Role.VIEWER, Model, versions, "List versions"),
    Verb(
        "registry.version",
        "GET",
        "/models/{model}/versions/{version}",
        Role.VIEWER,
        Numbered,
        version,
        "Show one version",
    ),
    Verb("registry.take", "POST", "/models/{model}/versions", Role.EDITOR, Take, take, "Register what a run kept"),
    Verb("registry.aliases", "GET", "/models/{model}/aliases", Role.VIEWER, Model, aliases, "Show where aliases point"),
    Verb(
        "registry.alias",
        "GET",
        "/models/{model}/aliases/{alias}",
        Role.VIEWER,
        Alias,
        alias,
        "Show where an alias points and has pointed",
    ),
    *CARD_VERBS,
    *ENGINE_VERBS,
)

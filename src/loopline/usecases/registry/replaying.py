"""What must stand after the facts: the aliases, the versions' digests and their stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from loopline.core.belongings import removal
from loopline.core.facts import Fact
from loopline.usecases.registry import model

Standing = dict[str, int | str]


def replayed(facts: Iterable[Fact]) -> Standing:
    """Where each alias points ({"model@alias": version}), what each version holds ({"model/version": digest}) and the
    stage of those that have one ({"model/version stage": stage})."""
    stands: Standing = {}
    gone: Standing = {}
    for fact in facts:
        change = _CHANGES.get(fact.kind)
        if change is not None:
            change(stands, fact.body)
        elif (found := removal(fact)) is not None:
            what, things = found
            (took if what == "removed" else gave_back)(stands, gone, things)
    return stands


def moved(stands: Standing, body: Mapping[str, Any]) -> None:
    """An alias points to another version."""
    stands[model.alias_key(body["model"], body["alias"])] = body["to"]


def unpointed(stands: Standing, body: Mapping[str, Any]) -> None:
    """An alias is gone."""
    stands.pop(model.alias_key(body["model"], body["alias"]), None)


def registered(stands: Standing, body: Mapping[str, Any]) -> None:
    """A version is there."""
    stands[model.version_key(body["model"], body["version"])] = body["digest"]


def staged(stands: Standing, body: Mapping[str, Any]) -> None:
    """A version has another stage."""
    key = model.stage_key(body["model"], body["version"])
    if body["to"] == model.NO_STAGE:
        stands.pop(key, None)
    else:
        stands[key] = body["to"]


def deleted(stands: Standing, body: Mapping[str, Any]) -> None:
    """A version is gone; facts of their own told that of its aliases."""
    stands.pop(model.version_key(body["model"], body["version"]), None)
    stands.pop(model.stage_key(body["model"], body["version"]), None)


def model_deleted(stands: Standing, body: Mapping[str, Any]) -> None:
    """A model is gone with all that it had."""
    for key in [key for key in stands if owner(key) == body["model"]]:
        del stands[key]


def renamed(stands: Standing, body: Mapping[str, Any]) -> None:
    """A model has another name, and so has all that it holds."""
    for key in [key for key in stands if owner(key) == body["from"]]:
        stands[body["to"] + key[len(body["from"]) :]] = stands.pop(key)


def took(stands: Standing, gone: Standing, things: Mapping[str, Any]) -> None:
    """Models and versions went into the trash. (Versions of a model that goes are named: another model of that name may
    have gone before.)"""
    models, versions = set(things.get("model", ())), set(things.get("version", ()))
    for key in list(stands):
        if (owner(key) in models) if "/" not in key else (key.removesuffix(" stage") in versions):
            gone[key] = stands.pop(key)


def gave_back(stands: Standing, gone: Standing, things: Mapping[str, Any]) -> None:
    """They came back."""
    took(gone, stands, things)


def owner(key: str) -> str:
    """The model that an entry is about. No model's name holds a slash, and no alias an @."""
    name, slash, _ = key.partition("/")
    return name if slash else key.rpartition("@")[0]


_CHANGES: dict[str, Callable[[Standing, Mapping[str, Any]], None]] = {
    model.ALIAS_MOVED: moved,
    model.ALIAS_REMOVED: unpointed,
    model.VERSION_REGISTERED: registered,
    model.VERSION_STAGED: staged,
    model.VERSION_DELETED: deleted,
    model.DELETED: model_deleted,
    model.RENAMED: renamed,
}

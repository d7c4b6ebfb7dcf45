"""Registered models and aliases over MLflow's protocol."""

from __future__ import annotations

from typing import Any

from loopline.core import fields as read
from loopline.core.errors import Invalid, NotFound
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.usecases.registry.changing import checked_alias, checked_model_name, checked_stage
from loopline.usecases.registry.wire_mlflow.shapes import (
    MOST_MODELS,
    REASON,
    model_shown,
    number,
    paged,
    tag_of,
    version_shown,
)

Fields = dict[str, Any]


def create(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """A new model without versions."""
    made = registry.create(
        read.required(fields, "name"),
        actor=caller.name,
        description=read.text(fields, "description", default=""),
        tags=read.pairs(fields, "tags"),
    )
    return {"registered_model": model_shown(made, ())}


def get(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """One model."""
    return answered(registry, named(fields))


def answered(registry: Any, name: str) -> Fields:
    """A model as an answer."""
    return {"registered_model": model_shown(registry.one(name), registry.versions(name))}


def update(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Say what a model is for."""
    name = named(fields)
    registry.describe(name, read.text(fields, "description", default=""), caller.name)
    return answered(registry, name)


def rename(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Give a model another name."""
    name, new = named(fields), read.required(fields, "new_name")
    registry.rename(name, new, caller.name)
    return answered(registry, new)


def delete(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Take a model off."""
    registry.delete(named(fields), caller.name)
    return {}


def search(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Models in pages, with their newest versions and aliases."""
    where, order_by, limit, offset, query = paged(fields, MOST_MODELS, 100)
    found, more = registry.search(where, order_by, limit, offset)
    answer: Fields = {"registered_models": [model_shown(one, registry.versions(one.name)) for one in found]}
    return answer | ({"next_page_token": read.token_of(offset + limit, *query)} if more else {})


def latest(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """The newest version of each stage."""
    stages = [checked_stage(one) for one in read.texts(fields, "stages")]
    return {"model_versions": [version_shown(one) for one in registry.latest(named(fields), stages)]}


def tag(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Set a tag."""
    registry.tag(named(fields), tag_of(fields), caller.name)
    return {}


def untag(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Take a tag off."""
    registry.untag(named(fields), read.required(fields, "key"), caller.name)
    return {}


def point(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Set an alias, unless a gate guards it."""
    name, alias = named(fields), alias_of(fields)
    registry.set_alias(name, alias, number(fields), caller.name, f"set {REASON}")
    return {}


def unpoint(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """Take an alias off, unless a gate guards it."""
    registry.remove_alias(named(fields), alias_of(fields), caller.name, f"taken off {REASON}")
    return {}


def pointed(registry: Any, fields: Fields, caller: Caller) -> Fields:
    """The version behind an alias; `latest` is the newest one."""
    name, alias = named(fields), read.required(fields, "alias")
    if alias.lower() == "latest":
        versions = registry.versions(name)
        if not versions:
            raise NotFound(f"Latest version not found for model {name}.", "Register one first.")
        return {"model_version": version_shown(versions[-1])}
    standing = registry.one(name).aliases.get(alias)
    if standing is None:
        raise Invalid(f"Registered model alias {alias[:255]} not found.", "Set it first.")
    return {"model_version": version_shown(registry.version(name, standing))}


def named(fields: Fields) -> str:
    """The field `name`, so far as it can be a model's."""
    return checked_model_name(read.required(fields, "name"))


def alias_of(fields: Fields) -> str:
    """The field `alias`, so far as it can be one."""
    return checked_alias(read.required(fields, "alias"))


_ROOT = "registered-models"
ROUTES = (
    Route("POST", f"{_ROOT}/create", Role.EDITOR, create),
    Route("GET", f"{_ROOT}/get", Role.VIEWER, get),
    Route("PATCH", f"{_ROOT}/update", Role.EDITOR, update),
    Route("POST", f"{_ROOT}/rename", Role.EDITOR, rename),
    Route("DELETE", f"{_ROOT}/delete", Role.EDITOR, delete),
    Route("GET", f"{_ROOT}/search", Role.VIEWER, search),
    Route("POST", f"{_ROOT}/search", Role.VIEWER, search),
    Route("GET", f"{_ROOT}/get-latest-versions", Role.VIEWER, latest),
    Route("POST", f"{_ROOT}/get-latest-versions", Role.VIEWER, latest),
    Route("POST", f"{_ROOT}/set-tag", Role.EDITOR, tag),
    Route("DELETE", f"{_ROOT}/delete-tag", Role.EDITOR, untag),
    Route("POST", f"{_ROOT}/alias", Role.EDITOR, point),
    Route("DELETE", f"{_ROOT}/alias", Role.EDITOR, unpoint),
    Route("GET", f"{_ROOT}/alias", Role.VIEWER, pointed),
)

"""How versions differ in what they are made of: signatures, params, data, code, size. Loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.usecases.registry import cards_store, store
from loopline.usecases.registry.cards import Cards, tried
from loopline.usecases.registry.model import RegisteredModel, Version

MOST = 8


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Something that each version has: its values in the order of the versions."""

    name: str
    values: tuple[Any, ...]
    differs: bool


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of a model in order; what is the same in all of them is told too where it is short."""

    model: str
    versions: list[Version]
    sizes: tuple[int | None, ...]
    signature: list[Row]
    params: list[Row]
    metrics: list[Row]
    data: list[Row]
    code: list[Row]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A model in the list of all: `owner` as its newest card says, else its project, else its tag `owner`."""

    model: RegisteredModel
    owner: str
    newest_at: str
    newest_by: str
    format: str
    servable: bool


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the models that were asked for, and how many there are."""

    models: list[Listed]
    count: int
    all: int


class Differing(Cards):
    """Versions beside each other, and the list of all models."""

    def beside(self, name: str, versions: Sequence[int]) -> Differences:
        """How versions of a model differ. NotFound; Invalid for none or more than 8."""
        numbers = list(dict.fromkeys(versions))
        if not 1 <= len(numbers) <= MOST:
            raise Invalid(f"{len(numbers)} versions cannot be put side by side.", f"Name 1 to {MOST}.")
        found = [self._version_of(name, number) for number in numbers]
        facts = [self._facts(version) for version in found]
        runs = [one["run"] or {} for one in facts]
        return Differences(
            model=name,
            versions=found,
            sizes=tuple(one["size"] for one in facts),
            signature=rows([columns(version) for version in found]),
            params=[row for row in rows([run.get("params", {}) for run in runs]) if row.differs],
            metrics=rows([one["metrics"] for one in facts]),
            data=rows([snapshots(one) for one in facts]),
            code=rows([code(one) for one in facts]),
        )

    def catalog(
        self, text: str = "", tag: str = "", sort: str = "name", order: str = "asc", first: int = 0, count: int = 50
    ) -> Catalog:
        """Models whose name, description, tag, alias or owner holds all words of `text`, of which one page."""
        models, owners, newest = self._database.read(
            lambda tx: (store.models(tx), cards_store.owners(tx), cards_store.newest(tx))
        )
        declared = self._declared_owners()
        every = [listed(model, owners, declared, newest.get(model.name) or {}) for model in models]
        words = text.lower().split()
        found = [one for one in every if all(word in said(one) for word in words) and (not tag or tagged(one, tag))]
        found.sort(key=SORTS.get(sort, SORTS["name"]), reverse=order == "desc")
        return Catalog(models=found[first : first + max(1, min(count, 500))], count=len(found), all=len(every))

    def _declared_owners(self) -> dict[str, str]:
        """Owners that projects name for models in loopline.yaml."""
        found: dict[str, str] = {}
        for project in tried(self._projects.projects, []):
            for name, one in (project.config.get("models") or {}).items():
                if isinstance(one, Mapping) and one.get("owner"):
                    found[name] = str(one["owner"])
        return found


def listed(
    model: RegisteredModel, owners: Mapping[str, str], declared: Mapping[str, str], newest: Mapping[str, Any]
) -> Listed:
    """A model with what the list says of it."""
    return Listed(
        model=model,
        owner=owners.get(model.name) or declared.get(model.name) or model.tags.get("owner", ""),
        newest_at=newest.get("created_at", ""),
        newest_by=newest.get("created_by", ""),
        format=newest.get("format", ""),
        servable=bool(newest.get("servable", True)),
    )


def said(one: Listed) -> str:
    """All texts by which a model is found."""
    model = one.model
    tags = [f"{key}={value}" for key, value in model.tags.items()]
    return " ".join([model.name, model.description, one.owner, one.format, *model.aliases, *tags]).lower()


def tagged(one: Listed, tag: str) -> bool:
    """Whether a model has a tag: a key, or key=value."""
    key, given, value = tag.partition("=")
    return key in one.model.tags and (not given or one.model.tags[key] == value)


SORTS: dict[str, Any] = {
    "name": lambda one: one.model.name.lower(),
    "newest": lambda one: (one.newest_at or one.model.created_at, one.model.name),
    "versions": lambda one: (one.model.versions, one.model.name),
    "owner": lambda one: (one.owner.lower(), one.model.name),
    "created": lambda one: (one.model.created_at, one.model.name),
}


def rows(values: Sequence[Mapping[str, Any]]) -> list[Row]:
    """One row for each name that any of them has."""
    names = list(dict.fromkeys(name for one in values for name in one))
    found = [(name, tuple(one.get(name) for one in values)) for name in names]
    return [Row(name=name, values=each, differs=len(set(map(repr, each))) > 1) for name, each in found]


def columns(version: Version) -> dict[str, str]:
    """A signature as types by name."""
    inputs = {one.name: f"{one.type}, may be empty" if one.nullable else one.type for one in version.signature.inputs}
    output = version.signature.output
    return {**inputs, f"→ {output.name}": output.type} if output.name else inputs


def snapshots(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Data by dataset, and the period of the rows."""
    found: dict[str, Any] = {one["dataset"] or "data": one["digest"] for one in facts["data"]}
    return found | {name.replace("_", " "): facts[name] for name in ("trained_from", "trained_until") if facts[name]}


def code(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What code made the version."""
    run = facts["run"] or {}
    told = {
        "code": facts["code"],
        "release": facts["release"],
        "commit": run.get("commit", ""),
        "source": facts["source"],
    }
    return {name: value if isinstance(value, str) else str(value) for name, value in told.items() if value}

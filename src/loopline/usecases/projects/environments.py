"""Environments: one file, with what each environment replaces of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import NotFound
from loopline.usecases.projects.model import CHECKS, EnvironmentEntry
from loopline.usecases.projects.secret import place_of, variables

Place = tuple[str | int, ...]
FIELDS = EnvironmentEntry.__struct_fields__
DEFAULT = "default"
_NEAR = 0.75
PROD, DEV = "prod", "dev"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment as a run needs it.

    `datasets`: the dataset of the pipeline → the dataset to read. `params`: defaults of the parameters of every
    pipeline; `params_of(pipeline)` adds those of one. `variables`: secrets, read when this was made. `approvals`: how
    many people must approve a release; `checks`: what it must pass.
    """

    name: str
    datasets: dict[str, str]
    params: dict[str, Any]
    variables: dict[str, str]
    approvals: int
    checks: tuple[str, ...]
    by_pipeline: dict[str, dict[str, Any]] = {}

    def params_of(self, pipeline: str) -> dict[str, Any]:
        """The defaults of one pipeline's parameters here."""
        return {**self.params, **self.by_pipeline.get(pipeline, {})}

    @property
    def bindings(self) -> dict[str, str]:
        """`datasets`, only those that are another dataset here."""
        return {name: read for name, read in self.datasets.items() if name != read}


def declared(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each environment replaces, by name; configurations stored long ago may have the short form."""
    return {name: dict(entry or {}) for name, entry in (spelt(dict(config)).get("environments") or {}).items()}


def names(config: Mapping[str, Any]) -> list[str]:
    """The environments of a project; one that declares none has the one called default, which is the file as it stands."""
    return list(declared(config)) or [DEFAULT]


def chosen(config: Mapping[str, Any], name: str, otherwise: str = PROD) -> tuple[str, dict[str, Any]]:
    """The environment of that name. Without one: the only one declared (default where none is), else the one called
    `otherwise`, else the one without a name, which is the file as it stands. For `otherwise` dev the only one counts only if it is dev: who runs
    a working copy means no production. NotFound lists those declared."""
    known = declared(config) or ({DEFAULT: {}} if name == DEFAULT or otherwise == PROD else {})
    if not name:
        only = next(iter(known)) if len(known) == 1 and otherwise == PROD else ""
        name = only or (otherwise if otherwise in known else "")
    elif name not in known:
        there = f"Declared are {', '.join(known)}." if known else "Declare it under environments: in loopline.yaml."
        project = config.get("project", "")
        raise NotFound(f"The project {project!r} has no environment {name!r}.", there)
    return name, known.get(name, {})


def made(config: Mapping[str, Any], folder: Path, name: str, otherwise: str = PROD) -> Environment:
    """The environment of that name (see `chosen`) with its secrets as they are now.

    Unavailable names every secret that is missing, never a value.
    """
    name, entry = chosen(config, name, otherwise)
    params = entry.get("params") or {}
    return Environment(
        name=name,
        datasets=datasets(config, name, entry),
        params={key: value for key, value in params.items() if not isinstance(value, dict)},
        by_pipeline={key: value for key, value in params.items() if isinstance(value, dict)},
        variables=variables(entry.get("secrets") or {}, folder, name),
        approvals=entry.get("approvals", 0),
        checks=checks(entry),
    )


def shown(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An environment for people: where its secrets come from, and no value of them."""
    name, entry = chosen(config, name)
    return {
        "name": name,
        "description": entry.get("description", ""),
        "datasets": datasets(config, name, entry),
        "params": entry.get("params") or {},
        "secrets": {key: place_of(place) for key, place in (entry.get("secrets") or {}).items()},
        "approvals": entry.get("approvals", 0),
        "checks": list(checks(entry)),
    }


def datasets(config: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> dict[str, str]:
    """The datasets of the file → those that stand for them in an environment."""
    replaced = entry.get("datasets") or {}
    return {each: bound(each, name) if each in replaced else each for each in config.get("datasets") or {}}


def checks(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """What a release must pass to come here: all there is, unless the environment says which."""
    found = entry.get("checks")
    return CHECKS if found is None else tuple(found)


def spelt(data: Any) -> Any:
    """The short form of an environment, KEY: value, is one that has only params. A key that looks like a field which
    was written wrongly makes it no short form, so that the mistake is told."""
    declared = data.get("environments") if isinstance(data, Mapping) else None
    if not isinstance(declared, Mapping):
        return data
    return {**data, "environments": {name: {"params": dict(entry)} if _is_short(entry) else entry
                                     for name, entry in declared.items()}}  # fmt: skip


def _is_short(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or not entry or any(key in FIELDS for key in entry):
        return False
    if any(isinstance(value, Mapping | list | tuple) for value in entry.values()):
        return False
    from difflib import get_close_matches

    return not any(get_close_matches(str(key).lower(), FIELDS, 1, _NEAR) for key in entry)


def bound(dataset: str, environment: str) -> str:
    """The name of the dataset that an environment has in place of `dataset`."""
    return f"{dataset}.{environment}"


def folders_in(data: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Every folder of data that a configuration names, with its path in the file."""
    for name, entry in items(data.get("datasets")):
        yield from _folder(("datasets", name), entry)
    for environment_name, entry in items(data.get("environments")):
        for name, binding in items(entry.get("datasets") if isinstance(entry, dict) else None):
            yield from _folder(("environments", environment_name, "datasets", name), binding)


def _folder(path: Place, entry: Any) -> Iterator[tuple[Place, str]]:
    if isinstance(entry, dict) and isinstance(entry.get("folder"), str):
        yield (*path, "folder"), entry["folder"]


def items(value: Any) -> list[tuple[str, Any]]:
    """Of a mapping its items; of anything else none."""
    return list(value.items()) if isinstance(value, dict) else []

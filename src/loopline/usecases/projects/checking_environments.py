"""The rules of `environments:` in loopline.yaml, and what they share with other sections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from loopline.core.ids import NAME
from loopline.kit.shapes import Path, Wrong, unknown
from loopline.usecases.projects.environments import bound, items


def environment(data: dict[str, Any], path: Path, entry: dict[str, Any]) -> Iterator[Wrong]:
    """What is wrong with one environment beyond its types."""
    for name, binding in items(entry.get("datasets")):
        place = (*path, "datasets", name)
        yield from named(data, "datasets", name, place, at_key=True)
        if isinstance(binding, dict):
            yield from source(place, binding, "a binding")
        yield from _bound_name(data, str(path[1]), name, place)
    for name, value in items(entry.get("params")):
        if isinstance(value, dict):
            yield from named(data, "pipelines", name, (*path, "params", name), at_key=True)
    for name, secret in items(entry.get("secrets")):
        if isinstance(secret, dict) and bool(secret.get("env")) == bool(secret.get("file")):
            yield Wrong((*path, "secrets", name), "a secret has one place: give either env or file", at_key=True)
    checks = entry.get("checks") or []
    for index, check in enumerate(checks):
        if check in checks[:index]:
            yield Wrong((*path, "checks", index), f"{check!r} is named twice")


def without_value(wrong: Wrong) -> Wrong:
    """A mistake that repeats nothing of what was written under `secrets`: it may be one."""
    at_secret = len(wrong.path) > 3 and (wrong.path[0], wrong.path[2]) == ("environments", "secrets")
    if not at_secret or wrong.at_key:
        return wrong
    return Wrong(wrong.path, "write no secret here, but where it is read: {env: NAME} or {file: PATH}")


def _bound_name(data: dict[str, Any], environment: str, dataset: str, path: Path) -> Iterator[Wrong]:
    made = bound(dataset, environment)
    if not NAME.match(made):
        yield Wrong(path, f"the dataset of this environment would be {made!r}, which is too long; shorten a name", True)
    if made in (data.get("datasets") or {}):
        yield Wrong(path, f"the dataset of this environment is {made!r}, and another has that name", True)
    for other, entry in items(data.get("environments")):
        if other == environment:
            return
        twins = [
            name
            for name, _ in items(entry.get("datasets") if isinstance(entry, dict) else None)
            if bound(name, other) == made
        ]
        if twins:
            yield Wrong(path, f"{made!r} would also be the dataset {twins[0]!r} of the environment {other!r}", True)


def source(path: Path, entry: dict[str, Any], what: str) -> Iterator[Wrong]:
    """What is wrong with where a dataset comes from."""
    if bool(entry.get("folder")) == bool(entry.get("query")):
        yield Wrong(path, f"{what} has one source: give either folder, or query and url", at_key=True)
    elif entry.get("query") and not entry.get("url"):
        yield Wrong((*path, "query"), "a query needs the url of its database beside it", at_key=True)
    url = entry.get("url")
    if isinstance(url, str) and re.search(r"://[^/@]*:(?!\$\{)[^/@]+@", url):
        yield Wrong((*path, "url"), "write no password here; write ${NAME} and set NAME in the environment")


def named(data: dict[str, Any], section: str, name: Any, path: Path, at_key: bool = False) -> Iterator[Wrong]:
    """Something that must be declared in another section, and is not."""
    declared = data.get(section) or {}
    if isinstance(name, str) and isinstance(declared, dict) and name not in declared:
        known = list(declared)
        message = unknown(name, known) if known else f"{name!r} is not known here; declare it under {section}"
        yield Wrong(path, message, at_key)

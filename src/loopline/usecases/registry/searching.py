"""Finding models and versions by name, tag, run and time, in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from loopline.core.comparisons import Comparison, comparisons, holds, ordering
from loopline.core.errors import Invalid
from loopline.core.times import to_ms
from loopline.ports.database import Row, Transaction
from loopline.usecases.registry import store
from loopline.usecases.registry.arriving import IS_PROMPT
from loopline.usecases.registry.base import Base
from loopline.usecases.registry.model import RegisteredModel, Version

T = TypeVar("T")
_TEXTS = ("=", "!=", "LIKE", "ILIKE")
_NUMBERS = ("=", "!=", "<", "<=", ">", ">=")
_LISTS = ("IN", "NOT IN")
_MODEL_ORDER = {
    "name": "name",
    "timestamp": "updated_at",
    "last_updated_timestamp": "updated_at",
    "creation_timestamp": "created_at",
}
_VERSION_KEYS = {"name": "model", "run_id": "run_id", "source_path": "source", "version_number": "version"}
_VERSION_ORDER = _MODEL_ORDER | {"name": "model", "version_number": "version"}
_ATTRIBUTES = ("", "attribute", "attributes")


class Searching(Base):
    """Prompts are models with a tag; they are found only when that tag is asked for."""

    def search(
        self, where: str = "", order_by: Sequence[str] = (), limit: int = 100, offset: int = 0
    ) -> tuple[list[RegisteredModel], bool]:
        """Models by `name` and `tags.KEY`, by name unless `order_by` (name, timestamp, creation_timestamp) says
        otherwise, and whether more follow. Invalid with the place of a mistake."""
        asked = [checked_model_comparison(one) for one in comparisons(where)]
        order = orders(order_by, _MODEL_ORDER)

        def work(tx: Transaction) -> tuple[list[RegisteredModel], bool]:
            found = [one for one in store.models(tx) if wanted(one.tags, asked)]
            found = [one for one in found if all(holds(*compared(c, {"name": one.name}, one.tags)) for c in asked)]
            found = in_order(found, order, getattr)
            return found[offset : offset + limit], len(found) > offset + limit

        return self._database.read(work)

    def search_versions(
        self, where: str = "", order_by: Sequence[str] = (), limit: int = 10_000, offset: int = 0
    ) -> tuple[list[Version], bool]:
        """Versions by `name`, `run_id`, `source_path`, `version_number` and `tags.KEY`, the last changed first unless
        `order_by` says otherwise, and whether more follow. Invalid with the place of a mistake."""
        asked = [checked_version_comparison(one) for one in comparisons(where)]
        order = orders(order_by or ("last_updated_timestamp DESC", "name ASC", "version_number DESC"), _VERSION_ORDER)
        order += [(key, up) for key, up in (("model", True), ("version", False)) if key not in dict(order)]

        def work(tx: Transaction) -> tuple[list[Version], bool]:
            tags = {one.key: store.values_of_tag(tx, one.key)[1] for one in asked if one.entity == "tags"}
            prompts = {name for name, value in store.values_of_tag(tx, IS_PROMPT)[0].items() if value.lower() == "true"}
            rows = [row for row in store.all_versions(tx) if (row["model"] in prompts) == asks_for_prompts(asked)]
            rows = [row for row in rows if all(holds(*compared(one, row, tags_of(row, tags))) for one in asked)]
            rows = in_order(rows, order, lambda row, key: row[key])
            return whole(tx, rows[offset : offset + limit]), len(rows) > offset + limit

        return self._database.read(work)

    def latest(self, name: str, stages: Sequence[str] = ()) -> list[Version]:
        """The newest version of each stage; NotFound for an unknown model."""
        found = self._database.read(lambda tx: self._versions(tx, name))
        return newest(found, stages)


def newest(versions: Sequence[Version], stages: Sequence[str] = ()) -> list[Version]:
    """Of each stage the version with the highest number."""
    by_stage = {one.stage: one for one in versions}
    return [one for stage, one in by_stage.items() if not stages or stage in stages]


def whole(tx: Transaction, rows: Sequence[Row]) -> list[Version]:
    """The versions of rows, in their order."""
    known: dict[tuple[str, int], Version] = {}
    for name in {row["model"] for row in rows}:
        numbers = {row["version"] for row in rows if row["model"] == name}
        found = [store.version(tx, name, min(numbers))] if len(numbers) == 1 else store.versions(tx, name)
        known |= {(one.model, one.version): one for one in found if one is not None}
    return [known[row["model"], row["version"]] for row in rows]


def tags_of(row: Row, tags: Mapping[str, Mapping[tuple[str, int], str]]) -> dict[str, str]:
    """The tags of a version, so far as they are asked for."""
    key = (row["model"], row["version"])
    return {name: values[key] for name, values in tags.items() if key in values}


def compared(one: Comparison, row: Mapping[str, Any], tags: Mapping[str, str]) -> tuple[str, Any, Any]:
    """The two sides of a comparison. What is no prompt says so."""
    if one.entity == "tags":
        value = tags.get(one.key)
        return one.op, "false" if value is None and one.key == IS_PROMPT else value, one.value
    return one.op, row[one.key], one.value


def wanted(tags: Mapping[str, str], asked: Sequence[Comparison]) -> bool:
    """Whether a model is a prompt exactly when prompts are asked for."""
    return (tags.get(IS_PROMPT, "").lower() == "true") == asks_for_prompts(asked)


def asks_for_prompts(asked: Sequence[Comparison]) -> bool:
    """Whether a filter asks for prompts."""
    for one in asked:
        if one.entity == "tags" and one.key == IS_PROMPT:
            return (one.op, str(one.value).lower()) in (("=", "true"), ("!=", "false"))
    return False


def checked_model_comparison(one: Comparison) -> Comparison:
    """A comparison that can be made of models, or Invalid."""
    return checked(one, {"name": "name"}, ("name",))


def checked_version_comparison(one: Comparison) -> Comparison:
    """A comparison that can be made of versions, or Invalid."""
    return checked(one, _VERSION_KEYS, ("name", "run_id"))


def checked(one: Comparison, keys: Mapping[str, str], listed: Sequence[str]) -> Comparison:
    """A comparison by the columns' names; Invalid for an unknown key, operator or type."""
    if one.entity in ("tag", "tags"):
        return typed(one._replace(entity="tags"), _TEXTS, str)
    if one.entity not in _ATTRIBUTES or one.key not in keys:
        name = f"{one.entity}.{one.key}" if one.entity else one.key
        raise Invalid(
            f"Invalid attribute name: {name[:100]!r} at character {one.at + 1}.", f"Use {', '.join(keys)} or tags.KEY."
        )
    operators = _NUMBERS if one.key == "version_number" else (*_TEXTS, *_LISTS) if one.key in listed else _TEXTS
    kind = int if one.key == "version_number" else str
    return typed(one._replace(entity="", key=keys[one.key]), operators, kind)


def typed(one: Comparison, operators: Sequence[str], kind: type) -> Comparison:
    """The comparison with its value as what is compared; a number may be written as a text."""
    if one.op not in operators:
        raise Invalid(
            f"Invalid comparator for {one.key[:100]!r}: {one.op!r} at character {one.at + 1}.",
            f"Use one of {', '.join(operators)}.",
        )
    values = one.value if isinstance(one.value, tuple) else (one.value,)
    if kind is int and isinstance(one.value, str) and one.value.isdecimal() and len(one.value) < 19:
        return one._replace(value=int(one.value))
    if not all(isinstance(value, kind) for value in values):
        what = "a whole number" if kind is int else "a quoted text"
        raise Invalid(f"{one.key[:100]!r} cannot be compared with {str(one.value)[:100]!r}.", f"Give {what}.")
    return one


def orders(order_by: Sequence[str], keys: Mapping[str, str]) -> list[tuple[str, bool]]:
    """(column, ascending) for each ordering; Invalid for an unknown or a doubled one."""

    def column(word: str) -> str:
        name = word.removeprefix("attributes.").removeprefix("attribute.")
        if name not in keys:
            raise Invalid(f"Invalid order by key {word[:100]!r} specified.", f"Valid keys are {', '.join(keys)}.")
        return keys[name]

    found = [ordering(text, column) for text in order_by]
    if len(dict(found)) != len(found):
        raise Invalid(f"`order_by` contains duplicate fields: {list(order_by)}", "Name each once.")
    return found


def in_order(items: list[T], order: Sequence[tuple[str, bool]], value: Callable[[T, str], Any]) -> list[T]:
    """Items sorted by several keys; what is equal stays as it was. Times count in milliseconds, as clients see them."""
    for key, ascending in reversed(order):
        shown = (
            (lambda one, key=key: to_ms(value(one, key)))
            if key.endswith("_at")
            else (lambda one, key=key: value(one, key))
        )
        items = sorted(items, key=shown, reverse=not ascending)
    return items

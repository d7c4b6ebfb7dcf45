"""How experiments are searched and ordered. They are few, so that Python holds them against a filter exactly."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from loopline.core.comparisons import Comparison, comparisons, holds, ordering
from loopline.core.errors import Invalid
from loopline.core.times import to_ms

TIMES = {"creation_time": "created_at", "last_update_time": "updated_at"}
KEYS = ("name", "experiment_id", *TIMES)
OPERATORS = {
    "name": ("=", "!=", "LIKE", "ILIKE"),
    "experiment_id": ("=", "!=", "IN", "NOT IN"),
    "tags": ("=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"),
    **dict.fromkeys(TIMES, ("=", "!=", "<", "<=", ">", ">=")),
}
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}\Z")


class Wanted(NamedTuple):
    """One comparison; `about` is "tags" or the name of an attribute, `key` that of a tag."""

    about: str
    key: str
    op: str
    value: Any

    def met(self, row: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
        """Whether an experiment with this row and these tags meets it; on a tag only one that has it can."""
        return holds(self.op, tags.get(self.key) if self.about == "tags" else attribute(row, self.about), self.value)


def attribute(row: Mapping[str, Any], name: str) -> Any:
    """What a row says for an attribute; times in milliseconds since 1970."""
    if name in TIMES:
        return to_ms(row[TIMES[name]])
    return row["id" if name == "experiment_id" else name]


def parsed(where: str) -> list[Wanted]:
    """The comparisons of a filter, all of which must hold; Invalid with the place of a mistake."""
    return [wanted(one) for one in comparisons(where)]


def wanted(one: Comparison) -> Wanted:
    """A comparison that can be held against experiments."""
    about, key = ("tags", one.key) if one.entity in ("tag", "tags") else (one.key, "")
    if one.entity not in ("", "attribute", "tag", "tags") or about not in OPERATORS:
        name = ".".join(filter(None, (one.entity, one.key)))
        raise Invalid(f"Experiments have no {name[:100]!r}, as at character {one.at + 1}.", known())
    if one.op not in OPERATORS[about]:
        raise Invalid(
            f"{about} cannot be compared by {one.op}, as at character {one.at + 1}.",
            f"Use {', '.join(OPERATORS[about])}.",
        )
    return Wanted(about, key, one.op, value(one, about))


def value(one: Comparison, about: str) -> Any:
    """What stands on the right, as it is compared."""
    if about == "experiment_id":
        return frozenset(map(number_of, one.value)) if isinstance(one.value, tuple) else number_of(one.value)
    if one.value is None:
        return None
    if about in TIMES and (isinstance(one.value, bool) or not isinstance(one.value, int)):
        raise Invalid(f"Invalid value for numeric attribute '{about}': {str(one.value)[:80]!r}.", "Give milliseconds.")
    if about not in TIMES and not isinstance(one.value, str):
        raise Invalid(f"Expected a quoted string value for {about}. Got value {str(one.value)[:80]}.", "Quote it.")
    return one.value


def number_of(text: Any) -> int:
    """The number of an experiment, written as a text."""
    if isinstance(text, str) and _WHOLE.match(text):
        return int(text)
    raise Invalid(
        f"Invalid experiment ID '{str(text)[:40]}'. Experiment ID must be a valid integer.", "Write it in quotes."
    )


def in_order(order_by: Sequence[str]) -> Callable[[list[Any]], list[Any]]:
    """Sorts rows as asked, newest first when nothing is asked; Invalid for what cannot be ordered by."""
    criteria = [ordering(one, attribute_named) for one in order_by or ("creation_time DESC", "experiment_id ASC")]
    if not any(key == "experiment_id" for key, _ in criteria):
        criteria.append(("experiment_id", False))

    def sort(rows: list[Any]) -> list[Any]:
        for name, ascending in reversed(criteria):
            rows = sorted(rows, key=lambda row, name=name: attribute(row, name), reverse=not ascending)  # type: ignore[misc]
        return rows

    return sort


def attribute_named(word: str) -> str:
    """The attribute that a word in an order stands for."""
    name = word.removeprefix("attribute.").strip("`\"'")
    if name not in KEYS:
        raise Invalid(f"Experiments cannot be ordered by {word[:80]!r}.", known())
    return name


def known() -> str:
    """The way out of a wrong name."""
    return f"Use {', '.join(KEYS)} or, to filter, tags.NAME."

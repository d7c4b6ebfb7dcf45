"""What a value of one field may be: the one rule that every door keeps, whatever form the value came in.

A float is any finite number; an integer also a number without a fraction, as clients send where a column held a null;
NaN stands for null. Libraries decide the usual case at once; what they refuse is looked at here value by value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from loopline.core.times import to_text

INT64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
TYPES: dict[str, Any] = {"float": float, "integer": INT64, "string": str, "boolean": bool, "timestamp": datetime}
MOST_KEY = 1000
KEY = Annotated[str, Meta(max_length=MOST_KEY)] | INT64 | None
WORDS = {"float": "a number", "integer": "an integer", "string": "text", "boolean": "true or false",
         "timestamp": "a time as in 2013-04-01T12:00:00Z", "key": "text or an integer"}  # fmt: skip
GIVEN = {"str": "text", "int": "an integer", "float": "a number with a fraction", "bool": "true or false",
         "array": "a list", "object": "an object", "null": "null", "list": "a list", "dict": "an object",
         "NoneType": "null", "bytes": "bytes", "datetime": "a time"}  # fmt: skip
Scalar = bool | int | float | str | None


class Wrong(Exception):
    """A value that cannot be taken: at which row, why in one word (for counting), and in the end of a sentence."""

    def __init__(self, row: int, reason: str, told: str) -> None:
        super().__init__(told)
        self.row = row
        self.reason = reason
        self.told = told


def settled(kind: str, nullable: bool, values: Sequence[Any]) -> Sequence[Any]:
    """The values of one field as models get them; times stay `datetime`. `kind` is a column's type or "key". Wrong names
    the first that cannot be taken."""
    taken: Any = KEY if kind == "key" else TYPES[kind]
    try:
        found: list[Any] = msgspec.convert(values, list[taken | None] if nullable else list[taken])
        if kind != "float" or not _odd(found):
            return found
    except (msgspec.ValidationError, OverflowError):
        pass
    return [settle(kind, nullable, value, row) for row, value in enumerate(values)]


def settle(kind: str, nullable: bool, value: Any, row: int) -> Any:
    """One value, or Wrong."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        if nullable:
            return None
        raise Wrong(row, "null", f"may not be null; it is {WORDS[kind]}")
    found = _RULES[kind](value)
    if found is _LARGE:
        raise Wrong(row, "type", f"is too large for {WORDS[kind]}")
    if found is None:
        given = GIVEN.get(type(value).__name__, type(value).__name__)
        raise Wrong(
            row,
            "type",
            f"must be {WORDS[kind]}"
            + ("" if isinstance(value, str) and kind in ("timestamp", "key") else f", not {given}"),
        )
    return found


def text_of_time(value: datetime | None) -> str | None:
    """A time of a row as text in UTC. OverflowError where the calendar ends."""
    return None if value is None else to_text(value if value.tzinfo else value.replace(tzinfo=UTC))


def _odd(values: Sequence[Any]) -> bool:
    """Whether NaN or infinity is among them: NaN swallows every sum."""
    try:
        return not math.isfinite(math.fsum(value for value in values if value is not None))
    except (OverflowError, ValueError):
        return True


_LARGE = object()


def _float(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return _LARGE
    return found if math.isfinite(found) else _LARGE


def _integer(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if math.isinf(value):
            return _LARGE
        if value != math.floor(value):
            return None
    return int(value) if -(1 << 63) <= value < 1 << 63 else _LARGE


def _time(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    try:
        return msgspec.convert(value, datetime) if isinstance(value, str) else None
    except msgspec.ValidationError:
        return None


def _key(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MOST_KEY else None
    return None if isinstance(value, float) else _integer(value)


_RULES: dict[str, Callable[[Any], Any]] = {
    "float": _float,
    "integer": _integer,
    "string": lambda value: value if isinstance(value, str) else None,
    "boolean": lambda value: value if isinstance(value, bool) else None,
    "timestamp": _time,
    "key": _key,
}

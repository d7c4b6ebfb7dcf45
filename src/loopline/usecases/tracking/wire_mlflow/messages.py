"""What the protocol's messages hold: a table of fields each, and how JSON or a query is read by it.

JSON is protobuf's: a field may be written in snake_case or camelCase, null is the same as absent, whole numbers may come
as numbers or as texts, unknown fields are ignored. Each refusal names the field by its path, as `metrics[3].key`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from loopline.core.errors import Invalid

WAY_OUT = "See the API docs for more information about request parameters."
LONGEST_SHOWN = 200
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}\Z")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Values = dict[str, Any]
Type = Callable[[Any], Any]
"""Answers the value as Python holds it, or raises ValueError."""


class Field(NamedTuple):
    """A field of a message. `type` is a reader, or the fields of a message inside; `other` is an older name of it."""

    name: str
    type: Type | tuple[Field, ...]
    required: bool = False
    many: bool = False
    other: str = ""


Message = tuple[Field, ...]


def read(message: Message, fields: Mapping[str, Any], query: bool = False, at: str = "") -> Values:
    """The values of a message by name: None (or an empty list) where there is none. `query` says that all values are
    texts, of which a repeated one is a list. Raises Invalid for a missing or a wrong one."""
    return {one.name: value(one, given(one, fields), at + one.name, query) for one in message}


def given(field: Field, fields: Mapping[str, Any]) -> Any:
    """What was sent for a field, under whichever of its names."""
    for name in (field.name, camel(field.name), field.other):
        if name and fields.get(name) is not None:
            return fields[name]
    return None


def value(field: Field, sent: Any, path: str, query: bool) -> Any:
    """One field's value."""
    if query:
        sent = from_query(field, sent)
    if field.required and (sent is None or sent == ""):
        raise missing(path)
    if sent is None:
        return [] if field.many else None
    if not field.many:
        return typed(field, sent, path)
    if not isinstance(sent, list):
        raise wrong(path, sent)
    return [typed(field, item, f"{path}[{place}]") for place, item in enumerate(sent)]


def from_query(field: Field, sent: Any) -> Any:
    """A query's value: a list where the field is one, the first of several where it is none."""
    if field.many:
        return sent if sent is None or isinstance(sent, list) else [sent]
    return sent[0] if isinstance(sent, list) and sent else sent


def typed(field: Field, sent: Any, path: str) -> Any:
    """A value of the field's type."""
    if isinstance(field.type, tuple):
        if not isinstance(sent, dict):
            raise wrong(path, sent)
        return read(field.type, sent, at=f"{path}.")
    try:
        return field.type(sent)
    except ValueError:
        raise wrong(path, sent) from None


def text(sent: Any) -> str:
    """A text that every database can keep: no NUL, no half of a character."""
    if not isinstance(sent, str) or "\0" in sent:
        raise ValueError
    sent.encode()
    return sent


def int64(sent: Any) -> int:
    """A whole number of 64 bits, sent as a number or a text."""
    return whole(sent, -(2**63), 2**63 - 1)


def int32(sent: Any) -> int:
    """A whole number of 32 bits."""
    return whole(sent, -(2**31), 2**31 - 1)


def whole(sent: Any, least: int, most: int) -> int:
    """A whole number within limits."""
    if (isinstance(sent, str) and _WHOLE.match(sent)) or (isinstance(sent, float) and sent.is_integer()):
        sent = int(sent)
    if not isinstance(sent, int) or isinstance(sent, bool) or not least <= sent <= most:
        raise ValueError
    return sent


def double(sent: Any) -> float:
    """A number, or one of the texts "NaN", "Infinity" and "-Infinity"."""
    if isinstance(sent, str):
        if sent in _WORDS:
            return _WORDS[sent]
        if not _DECIMAL.match(sent):
            raise ValueError
    elif isinstance(sent, bool) or not isinstance(sent, int | float):
        raise ValueError
    try:
        return float(sent)
    except OverflowError:
        raise ValueError from None


def one_of(*names: str) -> Type:
    """One of some names, sent as the name or as its number, counted from 1."""

    def read_name(sent: Any) -> str:
        if isinstance(sent, str) and sent in names:
            return sent
        return names[whole(sent, 1, len(names)) - 1]

    return read_name


def camel(name: str) -> str:
    """`run_id` as `runId`; nothing when that is the same."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest) if rest else ""


def missing(path: str) -> Invalid:
    """The refusal of a request that lacks something."""
    return Invalid(f"Missing value for required parameter '{path}'.", WAY_OUT)


def wrong(path: str, sent: Any, why: str = "") -> Invalid:
    """The refusal of a value."""
    reason = f": {why}" if why else "."
    return Invalid(f"Invalid value {shown(sent)} for parameter '{path}' supplied{reason}", kind_of(sent))


def kind_of(sent: Any) -> str:
    """What was sent instead, as a hint."""
    return f"Hint: Value was of type '{type(sent).__name__}'. {WAY_OUT}"


def shown(sent: Any) -> str:
    """A value as JSON, its beginning when it is long."""
    try:
        found = msgspec.json.encode(sent, order="sorted").decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        found = type(sent).__name__
    return found if len(found) <= LONGEST_SHOWN else f"{found[:LONGEST_SHOWN]}…"

"""Plain data compared with a msgspec type: every difference at once, each with its path.

`msgspec.convert` stops at the first mistake; people mending a file want all of them, and what they may have meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Wrong:
    """One mistake at `path`: in the value there, or with `at_key` in the key itself."""

    path: Path
    message: str
    at_key: bool = False


def differences(data: Any, kind: Any) -> list[Wrong]:
    """All that keeps `data` from being a `kind` (a type that msgspec knows), in the order of the data."""
    return list(_check(data, _info(kind), ()))


@cache
def _info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _check(data: Any, kind: inspect.Type, path: Path) -> Iterator[Wrong]:
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.AnyType | inspect.RawType):
        return
    if isinstance(kind, inspect.UnionType):
        yield from _check_union(data, kind, path)
    elif isinstance(kind, inspect.StructType):
        yield from _check_struct(data, kind, path)
    elif isinstance(kind, inspect.DictType):
        yield from _check_mapping(data, kind, path)
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType):
        yield from _check_list(data, kind, path)
    else:
        yield from _check_scalar(data, kind, path)


def _check_union(data: Any, kind: inspect.UnionType, path: Path) -> Iterator[Wrong]:
    fitting = [option for option in kind.types if _fits(data, option)]
    if fitting:
        yield from min((list(_check(data, option, path)) for option in fitting), key=len)
    else:
        options = [words(option) for option in kind.types if not isinstance(option, inspect.NoneType)]
        yield Wrong(path, f"expected {' or '.join(options)}, found {found(data)}")


def _check_struct(data: Any, kind: inspect.StructType, path: Path) -> Iterator[Wrong]:
    if not isinstance(data, Mapping):
        yield Wrong(path, f"expected a mapping, found {found(data)}")
        return
    fields = {field.encode_name: field for field in kind.fields}
    for name, value in data.items():
        if name in fields:
            yield from _check(value, fields[name].type, (*path, name))
        else:
            yield Wrong((*path, name), unknown(name, list(fields)), at_key=True)
    for name, each in fields.items():
        if each.required and name not in data:
            yield Wrong(path, f"{name!r} is missing", at_key=True)


def _check_mapping(data: Any, kind: inspect.DictType, path: Path) -> Iterator[Wrong]:
    if not isinstance(data, Mapping):
        yield Wrong(path, f"expected a mapping, found {found(data)}")
        return
    for name, value in data.items():
        yield from (Wrong((*path, name), wrong.message, True) for wrong in _check(name, kind.key_type, (*path, name)))
        yield from _check(value, kind.value_type, (*path, name))


def _check_list(data: Any, kind: Any, path: Path) -> Iterator[Wrong]:
    if not isinstance(data, list | tuple):
        yield Wrong(path, f"expected a list, found {found(data)}")
        return
    for index, value in enumerate(data):
        yield from _check(value, kind.item_type, (*path, index))


def _check_scalar(data: Any, kind: inspect.Type, path: Path) -> Iterator[Wrong]:
    if isinstance(kind, inspect.LiteralType):
        if data not in kind.values or isinstance(data, bool) != any(data is value for value in (True, False)):
            yield Wrong(path, _not_among(data, [str(value) for value in kind.values]))
    elif not _fits(data, kind):
        yield Wrong(path, f"expected {words(kind)}, found {found(data)}")
    else:
        yield from (Wrong(path, message) for message in _bounds(data, kind))


def _bounds(data: Any, kind: inspect.Type) -> Iterator[str]:
    """The limits that msgspec.Meta puts on a number or text, asked of msgspec itself."""
    limits = {
        name: value
        for name in ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
        if (value := getattr(kind, name, None)) is not None
    }
    signs = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    holds = {"gt": "__gt__", "ge": "__ge__", "lt": "__lt__", "le": "__le__"}
    for name, sign in signs.items():
        if name in limits and not getattr(float(data), holds[name])(float(limits[name])):
            yield f"must be {sign} {limits[name]:g}, found {data}"
    if "min_length" in limits and len(data) < limits["min_length"]:
        yield "may not be empty"
    if "pattern" in limits:
        import re

        if not re.search(limits["pattern"], data):
            yield f"{data!r} is not written as it must be ({limits['pattern']})"


def _fits(data: Any, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    for types, python in _PYTHON:
        if isinstance(kind, types):
            return isinstance(data, python) and (not isinstance(data, bool) or bool in python)
    if isinstance(kind, inspect.LiteralType):
        return isinstance(data, tuple({type(value) for value in kind.values}))
    return isinstance(kind, inspect.AnyType)


_PYTHON: tuple[tuple[Any, tuple[type, ...]], ...] = (
    (inspect.NoneType, (type(None),)),
    (inspect.BoolType, (bool,)),
    (inspect.IntType, (int,)),
    (inspect.FloatType, (int, float)),
    (inspect.StrType, (str,)),
    (inspect.StructType | inspect.DictType, (Mapping,)),
    (inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType, (list, tuple)),
)
_WORDS: tuple[tuple[Any, str], ...] = (
    (inspect.BoolType, "true or false"),
    (inspect.IntType, "a whole number"),
    (inspect.FloatType, "a number"),
    (inspect.StrType, "text"),
    (inspect.StructType | inspect.DictType, "a mapping"),
    (inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType, "a list"),
    (inspect.NoneType, "nothing"),
)


def words(kind: inspect.Type) -> str:
    """What a type is called in an error."""
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(map(str, kind.values))
    return next((word for types, word in _WORDS if isinstance(kind, types)), "something else")


def found(data: Any) -> str:
    """What stands there, for an error."""
    if data is None:
        return "nothing"
    if isinstance(data, Mapping):
        return "a mapping"
    if isinstance(data, list | tuple):
        return "a list"
    text = msgspec.json.encode(data).decode()
    return text if len(text) <= 40 else text[:37] + "…"


def unknown(name: str, known: list[str]) -> str:
    """What to say about a key that is not known."""
    near = get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{name!r} is not known here; {hint}"


def _not_among(data: Any, values: list[str]) -> str:
    near = get_close_matches(str(data), values, 1, 0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"expected {' or '.join(values)}, found {found(data)}{hint}"

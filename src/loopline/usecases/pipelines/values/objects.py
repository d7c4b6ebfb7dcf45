"""Objects made of named fields (dataclasses, msgspec structs, named tuples) and members of enums, by their class's name."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import importlib
from collections.abc import Sequence
from typing import Any

import msgspec

from loopline.core.errors import Invalid


def fields_of(value: Any) -> dict[str, Any] | None:
    """The fields of an object by name; None for one that is not made of fields."""
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return fields | {name: held for name, held in getattr(value, "__dict__", {}).items() if not known(value, name)}
    return None


def known(value: Any, name: str) -> bool:
    """Whether an attribute is a field, or follows from fields by itself."""
    return name in type(value).__dataclass_fields__ or isinstance(
        getattr(type(value), name, None), functools.cached_property
    )


def place_of(cls: type, where: str) -> str:
    """The class as "module:name"; Invalid for one that cannot be found by it."""
    place = f"{cls.__module__}:{cls.__qualname__}"
    if "<locals>" in place or found(place) is not cls:
        raise Invalid(
            f"{where} is of the class {cls.__qualname__}, which cannot be found in {cls.__module__} by that name.",
            "Define the class at the top of a module of the project.",
        )
    return place


def found(place: str) -> Any:
    """What stands at "module:name"; None when nothing does."""
    module, _, name = place.partition(":")
    try:
        value: Any = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError, ValueError):
        return None
    return value


def made(place: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    """The object of the class at `place` with these fields, its constructor left out. Invalid when the class is gone."""
    cls = found(place)
    if not isinstance(cls, type) or not (dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct)):
        raise Invalid(f"There is no class of fields at {place!r} any more.", "Run the step that made the value again.")
    if issubclass(cls, msgspec.Struct):
        return cls(**dict(zip(names, values, strict=True)))
    value = cls.__new__(cls)
    for name, field in zip(names, values, strict=True):
        object.__setattr__(value, name, field)
    return value


def tupled(title: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    """A named tuple: of the class that `title` names where it is still there, else of one like it."""
    cls = found(title) if ":" in title else None
    if isinstance(cls, type) and issubclass(cls, tuple) and getattr(cls, "_fields", None) == tuple(names):
        return cls._make(values)  # type: ignore[attr-defined]
    return collections.namedtuple(title.rpartition(":")[2].rpartition(".")[2], names)(*values)


def tuple_title(value: tuple[Any, ...]) -> str:
    """The name of a named tuple's class, with its module where it can be found there."""
    cls = type(value)
    place = f"{cls.__module__}:{cls.__qualname__}"
    return place if "<locals>" not in place and found(place) is cls else cls.__name__


def member(place: str, value: Any, by: str = "value") -> Any:
    """The member of an enum that has a value or name; Invalid when there is none."""
    cls = found(place)
    try:
        if isinstance(cls, type) and issubclass(cls, enum.Enum):
            return cls(value) if by == "value" else cls[value]
    except (ValueError, KeyError):
        pass
    raise Invalid(f"There is no member {value!r} of {place!r} any more.", "Run the step that made the value again.")

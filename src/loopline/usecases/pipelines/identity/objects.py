"""What is inside objects that code reaches: containers, partial functions, instances, arrays and frames."""

from __future__ import annotations

import collections
import contextvars
import enum
import functools
import logging
import threading
import types
import typing
from typing import Any

from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.identity import plain
from loopline.usecases.pipelines.identity.lookups import file_of
from loopline.usecases.pipelines.identity.territory import Territory

Contents = list[tuple[str, Any]]
_SILENT = (logging.Logger, typing.TypeVar, typing.ParamSpec, type(threading.Lock()), type(threading.RLock()))
_FRAMES = frozenset(
    {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch")}
)


class Content:
    """Data that stands for itself by a digest."""

    def __init__(self, found: str) -> None:
        self.digest = found


def is_silent(value: Any) -> bool:
    """Whether an object has nothing that a result could depend on."""
    return isinstance(value, _SILENT)


def contents(value: Any, territory: Territory) -> Contents | None:
    """What is inside an object, part by part; None when that cannot be known."""
    found = contained(value)
    if found is not None:
        return found
    bases = [base.__module__ for base in type(value).__mro__ if base is not object]
    own = territory.owns(file_of(bases[0])) if bases else False
    library = any(territory.distributions(one) for one in bases if not territory.owns(file_of(one)))
    if own:
        return attributes(value) or (data_of(value) if library else [])
    wrapped = getattr(value, "__wrapped__", None)
    if isinstance(wrapped, types.FunctionType):  # a cached or compiled function
        return [("wrapped", wrapped)]
    return data_of(value) if library else reduced(value)


def contained(value: Any) -> Contents | None:
    """The items of containers, what functions are bound to, and types inside of types."""
    if isinstance(value, functools.partial | functools.partialmethod):
        return [("func", value.func), *((str(n), one) for n, one in enumerate(value.args)), *value.keywords.items()]
    if isinstance(value, enum.Enum):
        return [("member", value.name), ("value", value.value)]
    if isinstance(value, dict | types.MappingProxyType):
        missing = getattr(value, "default_factory", None)
        return [*keyed(value), *attributes(value), *([("default", missing)] if missing is not None else [])]
    if isinstance(value, list | tuple | collections.deque):
        return [*((str(n), one) for n, one in enumerate(value)), *attributes(value)]
    if isinstance(value, set | frozenset):
        return [*(("", one) for one in value), *attributes(value)]
    if isinstance(value, types.BuiltinFunctionType):
        bound = value.__self__
        return [("name", value.__name__), ("of", bound if bound is not None else "")]
    if isinstance(value, types.MethodDescriptorType | types.WrapperDescriptorType | types.MethodWrapperType):
        return [
            (
                "name",
                f"{value.__objclass__.__qualname__}.{value.__name__}"
                if hasattr(value, "__objclass__")
                else value.__name__,
            )
        ]
    inside = typing.get_args(value) or getattr(value, "__constraints__", ())
    if inside or type(value).__module__ == "typing":
        origin = typing.get_origin(value)
        return [
            ("type", origin if origin is not None else repr(value)),
            *((str(n), one) for n, one in enumerate(inside)),
        ]
    return None


def keyed(value: Any) -> Contents:
    """The items of a map by key, and its keys in order."""
    found: Contents = [("keys", tuple(value))]
    return found + [
        (repr(key)[:40] if plain.is_plain(key) else str(n), item) for n, (key, item) in enumerate(value.items())
    ]


def attributes(value: Any) -> Contents:
    """The attributes of an instance, those in slots and fields of structs too."""
    names = {
        name
        for base in type(value).__mro__
        for place in ("__slots__", "__struct_fields__")
        for name in listed(vars(base).get(place, ()))
    }
    held = getattr(value, "__dict__", {})
    slots = [
        (name, getattr(value, name)) for name in sorted(names - {"__dict__", "__weakref__"}) if hasattr(value, name)
    ]
    return [*held.items(), *slots]


def listed(names: Any) -> tuple[str, ...]:
    """Slots as a tuple; a single one may be written as a text."""
    return (names,) if isinstance(names, str) else tuple(names) if isinstance(names, tuple | list | dict) else ()


def reduced(value: Any) -> Contents | None:
    """What an object of Python's own library says that it can be made from again."""
    if is_silent(value):
        return []
    if isinstance(value, contextvars.ContextVar):
        return [("name", value.name)]
    try:
        parts = value.__reduce_ex__(4)
    except Exception:  # whatever an object that cannot be copied raises
        return None
    if isinstance(parts, str):
        return [("name", parts)]
    made, arguments, *more = parts
    items = [list(one) if one is not None else None for one in more[1:3]]
    return [("type", made), ("arguments", arguments), ("state", more[0] if more else None), ("items", items)]


def data_of(value: Any) -> Contents | None:
    """Arrays and frames by their content; another library's object when all its attributes are plain."""
    kind = (type(value).__module__.partition(".")[0], type(value).__name__)
    if kind[0] == "numpy" and hasattr(value, "dtype") and hasattr(value, "tobytes"):
        if value.dtype.hasobject:
            return [("values", value.tolist())]
        return [("content", Content(digest("array", str(value.dtype.str), str(value.shape), value.tobytes())))]
    if kind == ("pandas", "Series") or kind == ("polars", "Series"):
        return data_of(value.to_frame())
    if kind in _FRAMES:
        return [("content", Content(table_digest(value)))]
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    called: Contents = [("name", f"{getattr(value, '__module__', '')}.{name}")] if isinstance(name, str) else []
    held = attributes(value)
    return [*called, *held] if (called or held) and all(can_follow(one) for _, one in held) else None


def can_follow(value: Any) -> bool:
    """Whether an attribute of another library's object is something that is followed surely."""
    return plain.is_plain(value) or isinstance(value, types.FunctionType | types.MethodType | type | types.ModuleType)


def table_digest(value: Any) -> str:
    """The digest of a frame's values, the same as a step's result would have."""
    import pyarrow as pa

    from loopline.usecases.pipelines.values import tables

    table = tables.settled(tables.as_arrow(value))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return digest("table", sink.getvalue().to_pybytes())

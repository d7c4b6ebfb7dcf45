"""Digests of plain values: equal values of the same type give the same, whatever the process."""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import re
import types
from typing import Any

from loopline.usecases.pipelines.hashing import digest

_TEXTS = (int, float, complex, str, bool, type(None), type(...), range, decimal.Decimal, pathlib.PurePath)
_TIMES = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo)
_ORDERED = (list, tuple)
_UNORDERED = (set, frozenset)
_MAPS = (dict, types.MappingProxyType)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether `digest_of` knows the value and everything in it."""
    if isinstance(value, enum.Enum) or depth > 50:
        return depth <= 50
    if type(value) in (*_ORDERED, *_UNORDERED):
        return all(is_plain(item, depth + 1) for item in value)
    if type(value) in _MAPS:
        return all(is_plain(key, depth + 1) and is_plain(item, depth + 1) for key, item in value.items())
    return isinstance(value, (*_TEXTS, *_TIMES, bytes, bytearray, re.Pattern)) and is_builtin(type(value))


def is_builtin(kind: type) -> bool:
    """Whether a type is Python's own (a subclass of int may behave in any way)."""
    return kind.__module__ in ("builtins", "datetime", "decimal", "pathlib", "re", "zoneinfo")


def digest_of(value: Any) -> str:
    """The digest of a plain value."""
    kind = type(value).__name__
    if isinstance(value, enum.Enum):
        return digest("enum", type(value).__qualname__, value.name, repr(value.value))
    if isinstance(value, bytes | bytearray):
        return digest(kind, bytes(value))
    if isinstance(value, re.Pattern):
        return digest(kind, repr(value.pattern), str(value.flags))
    if isinstance(value, list | tuple):
        return digest(kind, *(digest_of(item) for item in value))
    if isinstance(value, set | frozenset):
        return digest(kind, *sorted(digest_of(item) for item in value))
    if isinstance(value, dict | types.MappingProxyType):  # order counts: code may go through it in order
        return digest("dict", *(digest_of(one) for pair in value.items() for one in pair))
    return digest(kind, repr(value))

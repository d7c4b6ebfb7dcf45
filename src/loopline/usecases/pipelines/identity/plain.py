"""Digests of plain values: equal values of the same type give the same, whatever the process and the project's place."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import re
import types
from typing import Any

from loopline.usecases.pipelines.hashing import digest

_TEXTS = (int, float, complex, str, bool, type(None), type(...), type(NotImplemented), range, decimal.Decimal)
_TIMES = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo)
_ATOMS = (*_TEXTS, *_TIMES, bytes, bytearray, re.Pattern, pathlib.PurePath, slice)
_ORDERED = (list, tuple)
_UNORDERED = (set, frozenset)
_MAPS = (dict, types.MappingProxyType)
_OWN = frozenset({"builtins", "datetime", "decimal", "pathlib", "pathlib._local", "re", "zoneinfo"})


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether `digest_of` knows the value and everything in it."""
    kind = type(value)
    if depth > 50:
        return False
    if kind in (*_ORDERED, *_UNORDERED):
        return all(is_plain(item, depth + 1) for item in value)
    if kind in _MAPS:
        return all(is_plain(key, depth + 1) and is_plain(item, depth + 1) for key, item in value.items())
    return isinstance(value, _ATOMS) and kind.__module__ in _OWN  # a subclass of int may behave in any way


def digest_of(value: Any, root: str = "") -> str:
    """The digest of a plain value; texts and paths in the folder `root` count from there."""
    kind = type(value).__name__
    if isinstance(value, bytes | bytearray):
        return digest(kind, bytes(value))
    if isinstance(value, re.Pattern):
        return digest(kind, repr(value.pattern), str(value.flags))
    if isinstance(value, list | tuple):
        return digest(kind, *(digest_of(item, root) for item in value))
    if isinstance(value, set | frozenset):
        return digest(kind, *sorted(digest_of(item, root) for item in value))
    if isinstance(value, dict | types.MappingProxyType):  # order counts: code may go through it in order
        return digest("dict", *(digest_of(one, root) for pair in value.items() for one in pair))
    text = str(value) if isinstance(value, str | pathlib.PurePath) else ""
    if root and (text == root or text.startswith(root + "/")):
        return digest(kind, "in the project", text[len(root) :])
    return digest(kind, repr(value))

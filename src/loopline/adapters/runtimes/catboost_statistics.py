"""Target statistics in a CatBoost file: what its trees ask of them, and the tables behind the trees that answer.

A table is a hash index (12 bytes a place: a hash, and the number of an entry) with the entries' counts behind it; CatBoost
follows both without looking. Source: CatBoost's ctr_data.fbs, ctr_value_table.cpp and dense_hash_view.h.
"""

from __future__ import annotations

import struct
from typing import Any

from loopline.adapters.runtimes.flatbuffer import Table, root
from loopline.core.errors import Refused

HINT = "The file is damaged or forged; save the model again."
EMPTY = 2**64 - 1  # the hash of a place without an entry; without such a place a search never ends
_CLASSES, _MEANS, _COUNTS = (0, 1), (2, 3), (4, 5)  # kinds of statistics by what an entry holds
_BYTES = dict.fromkeys(_MEANS, 8) | dict.fromkeys(_COUNTS, 4)
_FLOATS, _STATISTICS = 5, 7
Key = tuple[bytes, bytes, bytes, int, int]


def check(trees: Table, content: bytes, at: int, parts: int, categories: int) -> None:
    """Hold the tables from `at` to the end of the file against themselves and against what the trees ask of them."""
    tables = _tables(content, at, parts)
    for one in trees.tables(_STATISTICS):
        asked = one.table(0)
        base = None if asked is None else asked.table(0)
        if asked is None or base is None:
            raise ValueError("a statistic is made of nothing")
        key = _key(base, categories, trees.count(_FLOATS))
        _require(key in tables)
        kind, border = key[3], int(asked.scalar(1, "<i", 0))
        _require(0 <= border < max(1, tables[key] - (kind == 0)))


def _tables(content: bytes, at: int, parts: int) -> dict[Key, int]:
    """How many classes each table counts, by what it is a statistic of; each stands after its length."""
    if parts > 1:
        raise ValueError("it has parts that are not known")
    found: dict[Key, int] = {}
    count = struct.unpack_from("<I", content, at)[0] if parts else 0
    at += 4 * parts
    for _ in range(count):
        size = struct.unpack_from("<I", content, at)[0]
        table = root(content[at + 4 : at + 4 + size])
        base = table.table(0)
        if base is None:
            raise ValueError("a table is a statistic of nothing")
        found[_key(base, 1 << 31, 1 << 31)] = _checked(table, int(base.scalar(1, "<b", 0)))
        at += 4 + size
    if at != len(content):
        raise ValueError("it has more or fewer parts than it says")
    return found


def _checked(table: Table, kind: int) -> int:
    import numpy as np

    classes = int(table.scalar(4, "<i", 0))
    size = 4 * classes if kind in _CLASSES else _BYTES.get(kind, 0)
    index, held = table.bytes(1), table.bytes(2)
    places = len(index) // 12
    _require(size > 0 and len(held) % size == 0 and len(index) % 12 == 0)
    _require(places > 0 and places & (places - 1) == 0)
    entries = np.frombuffer(index, dtype=[("hash", "<u8"), ("entry", "<u4")])
    taken = entries["entry"][entries["hash"] != EMPTY]
    _require(len(taken) < places and (taken < len(held) // size).all())
    return classes


def _key(base: Table, categories: int, floats: int) -> Key:
    """What a statistic is of: categories, and questions about other columns; its kind, and how targets are cut."""
    parts = base.table(0)
    if parts is None:
        raise ValueError("a statistic is made of nothing")
    used = parts.numbers(0, "<i4")
    _require(((used >= 0) & (used < categories)).all())
    asked: list[Any] = []
    for field, most in ((1, floats), (2, categories)):
        each = parts.numbers(field, [("index", "<i4"), ("value", "<i4")])
        _require(((each["index"] >= 0) & (each["index"] < most)).all())
        asked.append(each.tobytes())
    return used.tobytes(), asked[0], asked[1], int(base.scalar(1, "<b", 0)), int(base.scalar(2, "<i", 0))


def _require(holds: Any) -> None:
    if not holds:
        raise Refused("The model's statistics point outside of itself.", HINT)

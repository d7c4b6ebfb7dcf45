"""Counts of texts that stay small: the frequent values by name, the rest by number. Imports pyarrow when tables are read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from loopline.core.tables import Column
from loopline.usecases.monitoring.model import distinct
from loopline.usecases.monitoring.model.limits import Limits
from loopline.usecases.monitoring.model.profile import MOST_VALUES, CategoricalColumn

VALUE_BYTES = 12_000
LONGEST_NAME = 64
MOST_SAMPLED = 96
MOST_AT_ONCE = 50_000


class TextCounts:
    """A column of texts or truth values as it is counted, batch by batch. Where values are folded, those in `known` (which
    the reference lists) are kept before others."""

    def __init__(self, column: Column, limits: Limits, known: Collection[str] = ()) -> None:
        self._column, self._limits, self._known = column, limits, known
        self._found: CategoricalColumn | None = None
        self._values: dict[str, int] = {}
        self._rows = self._missing = self._outside = 0

    def add(self, column: Any) -> None:
        """Count an Arrow column."""
        counts, allowed = column.cast("string").drop_null().value_counts(), frozenset(self._limits.allowed)
        self._rows += len(column)
        self._missing += column.null_count
        self._outside += 0 if self._column.nullable else column.null_count
        found = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
        for text, count in found:
            short = text if len(text) <= LONGEST_NAME else named(text)
            self._values[short] = self._values.get(short, 0) + count
            self._outside += count if allowed and text not in allowed else 0
        if len(self._values) > MOST_AT_ONCE:
            self._fold()

    def finish(self) -> CategoricalColumn:
        """The column of all batches so far."""
        return self._fold()

    def _fold(self) -> CategoricalColumn:
        part = CategoricalColumn(
            name=self._column.name,
            rows=self._rows,
            missing=self._missing,
            values=self._values,
            outside=self._outside,
        )
        part = folded(part, self._known)
        self._found = part if self._found is None else merged(self._found, part, self._known)
        self._rows, self._missing, self._outside, self._values = 0, 0, 0, {}
        return self._found


def merged(one: CategoricalColumn, other: CategoricalColumn, known: Collection[str] = ()) -> CategoricalColumn:
    """Both together."""
    values = dict(one.values)
    for text, count in other.values.items():
        values[text] = values.get(text, 0) + count
    some = bool(one.folded or other.folded)
    whole = CategoricalColumn(
        name=one.name,
        rows=one.rows + other.rows,
        missing=one.missing + other.missing,
        values=values,
        others=one.others + other.others,
        folded=one.folded + other.folded,
        missed=one.missed + other.missed,
        outside=one.outside + other.outside,
        distinct=distinct.together(_distinct(one), _distinct(other)) if some else b"",
        sampled=_written(_smallest(_sample(one), _sample(other))) if some else b"",
    )
    return folded(whole, known)


def folded(column: CategoricalColumn, known: Collection[str] = ()) -> CategoricalColumn:
    """The same column with at most MOST_VALUES values in at most VALUE_BYTES."""
    if len(column.values) <= MOST_VALUES and sum(map(_cost, column.values.items())) <= VALUE_BYTES:
        ordered = dict(sorted(column.values.items(), key=lambda pair: (-pair[1], pair[0])))
        return _with(column, values=ordered)
    ranked = sorted(column.values.items(), key=lambda pair: (pair[0] not in known, -pair[1], pair[0]))
    kept, left = [], VALUE_BYTES
    for pair in ranked[:MOST_VALUES]:
        left -= _cost(pair)
        if left < 0:
            break
        kept.append(pair)
    rest = ranked[len(kept) :]
    return _with(
        column,
        values=dict(sorted(kept, key=lambda pair: (-pair[1], pair[0]))),
        others=column.others + sum(count for _, count in rest),
        folded=column.folded + len(rest),
        missed=column.missed + max((count for _, count in rest), default=0),
        distinct=column.distinct or _distinct(column),
        sampled=column.sampled or _written(_sample(column)),
    )


def distinct_values(column: CategoricalColumn) -> float:
    """How many different values there were: exact where nothing was folded, else right to some percent."""
    return distinct.estimate(column.distinct) if column.folded else float(len(column.values))


def seen_once(column: CategoricalColumn) -> float:
    """How many values were seen exactly once: exact where nothing was folded, else estimated from a sample by hash."""
    if not column.folded:
        return float(sum(count == 1 for count in column.values.values()))
    sample = _sample(column)
    return distinct_values(column) * sum(count == 1 for count in sample.values()) / max(len(sample), 1)


def expected_new(column: CategoricalColumn) -> float:
    """The share of further rows that will hold a value never seen so far: those seen once, among all rows (Good: The
    population frequencies of species, 1953, after Turing)."""
    rows = column.rows - column.missing
    return min(seen_once(column) / rows, 1.0) if rows else 0.0


def named(text: str) -> str:
    """The name under which a value is counted: itself, or its beginning and a digest where it is long."""
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[:44]}…{blake2b(text.encode(errors='replace'), digest_size=8).hexdigest()}"


def _with(column: CategoricalColumn, **changes: Any) -> CategoricalColumn:
    return msgspec.structs.replace(column, **changes)


def _cost(pair: tuple[str, int]) -> int:
    """Bytes that a value takes as JSON with its count, the colon and the comma."""
    text, count = pair
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return (len(text) + 2 if plain else len(msgspec.json.encode(text))) + len(str(count)) + 2


def _distinct(column: CategoricalColumn) -> bytes:
    return column.distinct or distinct.of(column.values)


def _sample(column: CategoricalColumn) -> dict[int, int]:
    """Counts by the hash of a value: of the MOST_SAMPLED values with the smallest hashes.

    A value among the smallest of a union is among the smallest of each part that has it: its count is exact.
    """
    if column.sampled:
        found = struct.unpack(f"<{len(column.sampled) // 12 * 'IQ'}", column.sampled)
        return dict(zip(found[::2], found[1::2], strict=True))
    return _smallest(*({_hash(text): count} for text, count in column.values.items()))


def _smallest(*parts: Mapping[int, int]) -> dict[int, int]:
    total: dict[int, int] = {}
    for part in parts:
        for key, count in part.items():
            total[key] = total.get(key, 0) + count
    return {key: total[key] for key in sorted(total)[:MOST_SAMPLED]}


def _written(sample: Mapping[int, int]) -> bytes:
    return struct.pack(f"<{len(sample) * 'IQ'}", *_flat(sample.items()))


def _flat(pairs: Iterable[tuple[int, int]]) -> Iterable[int]:
    for pair in pairs:
        yield from pair


def _hash(text: str) -> int:
    """32 bits spread evenly (the finalizer of MurmurHash3 over CRC-32)."""
    found = zlib.crc32(text.encode(errors="replace"))
    found = (found ^ (found >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
    found = (found ^ (found >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
    return found ^ (found >> 16)

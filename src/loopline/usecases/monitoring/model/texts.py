"""Counts of texts that stay small: the frequent values by name, the rest by number. Imports numpy."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.core.tables import Column
from loopline.usecases.monitoring.model import distinct
from loopline.usecases.monitoring.model.limits import Limits, kept, together
from loopline.usecases.monitoring.model.profile import MOST_VALUES, CategoricalColumn

Hashes = NDArray[np.uint32]
Counts = NDArray[np.int64]
VALUE_BYTES = 8_000  # of 16,384: the rest is for the sketch, the sample, and a reference's own days and weeks
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
            limits=kept(self._limits),
        )
        part = folded(part, self._known)
        self._found = part if self._found is None else merged([self._found, part], self._known)
        self._rows, self._missing, self._outside, self._values = 0, 0, 0, {}
        return self._found


def merged(columns: Sequence[CategoricalColumn], known: Collection[str] = ()) -> CategoricalColumn:
    """All of them together."""
    values: dict[str, int] = {}
    for column in columns:
        for text, count in column.values.items():
            values[text] = values.get(text, 0) + count
    some = any(column.folded for column in columns)
    whole = CategoricalColumn(
        name=columns[0].name,
        rows=sum(column.rows for column in columns),
        missing=sum(column.missing for column in columns),
        values=values,
        others=sum(column.others for column in columns),
        folded=sum(column.folded for column in columns),
        missed=sum(column.missed for column in columns),
        outside=sum(column.outside for column in columns),
        distinct=distinct.together(*map(_distinct, columns)) if some else b"",
        sampled=_together(map(_sample, columns)) if some else b"",
        limits=together(column.limits for column in columns),
    )
    return folded(whole, known)


def folded(column: CategoricalColumn, known: Collection[str] = ()) -> CategoricalColumn:
    """The same column with at most MOST_VALUES values in at most VALUE_BYTES."""
    if len(column.values) <= MOST_VALUES and sum(map(_cost, column.values.items())) <= VALUE_BYTES:
        return msgspec.structs.replace(column, values=_ordered(column.values.items()))
    names, counts = list(column.values), np.fromiter(column.values.values(), dtype=np.int64)
    hashes = _hashes(names)
    rare = np.fromiter((name not in known for name in names), dtype=np.bool_)
    ranked = np.lexsort((hashes, -counts, rare))
    listed = _fitting([(names[at], int(counts[at])) for at in ranked[:MOST_VALUES]])
    rest = counts[ranked[len(listed) :]]
    return msgspec.structs.replace(
        column,
        values=_ordered(listed),
        others=column.others + int(rest.sum()),
        folded=column.folded + len(rest),
        missed=column.missed + int(rest.max(initial=0)),
        distinct=column.distinct or distinct.of(names),
        sampled=column.sampled or _smallest(hashes, counts),
    )


def distinct_values(column: CategoricalColumn) -> float:
    """How many different values there were: exact where nothing was folded, else right to some percent: by its sketch, or
    by how near to zero the smallest hashes lie (Bar-Yossef and others, Counting Distinct Elements in a Stream, 2002)."""
    if not column.folded:
        return float(len(column.values))
    return distinct.estimate(column.distinct) or _by_smallest(_opened(column.sampled)[0])


def _by_smallest(hashes: Hashes) -> float:
    count = len(hashes)
    return (count - 1) / ((float(hashes.max()) + 1) / 2.0**32) if count > 1 else float(count)


def seen_once(column: CategoricalColumn) -> float:
    """How many values were seen exactly once: exact where nothing was folded, else estimated from a sample by hash."""
    if not column.folded:
        return float(sum(count == 1 for count in column.values.values()))
    counts = _opened(column.sampled)[1]
    return distinct_values(column) * float((counts == 1).mean()) if len(counts) else 0.0


def expected_new(column: CategoricalColumn) -> float:
    """The share of further rows that will hold a value never seen so far: those seen once, among all rows (Good: The
    population frequencies of species, 1953, after Turing)."""
    rows = column.rows - column.missing
    return min(seen_once(column) / rows, 1.0) if rows else 0.0


def unseen(column: Any, reference: CategoricalColumn) -> int | None:
    """How many rows of an Arrow column hold a value that the reference has not seen; None where it had to fold values."""
    if reference.folded:
        return None
    counts = column.cast("string").drop_null().value_counts()
    found = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    return sum(int(count) for text, count in found if named(text) not in reference.values)


def named(text: str) -> str:
    """The name under which a value is counted: itself, or its beginning and a digest where it is long."""
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[:44]}…{blake2b(text.encode(errors='replace'), digest_size=8).hexdigest()}"


def _ordered(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _fitting(pairs: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The first of them, as many as fit."""
    found, left = [], VALUE_BYTES
    for pair in pairs:
        left -= _cost(pair)
        if left < 0:
            break
        found.append(pair)
    return found


def _cost(pair: tuple[str, int]) -> int:
    """Bytes that a value takes as JSON with its count, the colon and the comma."""
    text, count = pair
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return (len(text) + 2 if plain else len(msgspec.json.encode(text))) + len(str(count)) + 2


def _distinct(column: CategoricalColumn) -> bytes:
    return column.distinct or distinct.of(column.values)


def _sample(column: CategoricalColumn) -> tuple[Hashes, Counts]:
    """Counts by the hash of a value: of the MOST_SAMPLED values with the smallest hashes.

    A value among the smallest of a union is among the smallest of each part that has it: its count is exact.
    """
    if column.sampled:
        return _opened(column.sampled)
    return _hashes(column.values), np.fromiter(column.values.values(), dtype=np.int64)


def _smallest(hashes: Hashes, counts: Counts) -> bytes:
    """The counts of the smallest hashes (those of equal hashes added up), as bytes."""
    found, place = np.unique(hashes, return_inverse=True)
    sums = np.bincount(place, weights=counts, minlength=len(found)).astype("<u8")
    return found[:MOST_SAMPLED].astype("<u4").tobytes() + sums[:MOST_SAMPLED].tobytes()


def _together(samples: Iterable[tuple[Hashes, Counts]]) -> bytes:
    hashes, counts = zip(*samples, strict=True)
    return _smallest(np.concatenate(hashes), np.concatenate(counts))


def _opened(sampled: bytes) -> tuple[Hashes, Counts]:
    count = len(sampled) // 12
    hashes = np.frombuffer(sampled, dtype="<u4", count=count)
    return hashes, np.frombuffer(sampled, dtype="<u8", offset=4 * count).astype(np.int64)


def _hashes(texts: Collection[str]) -> Hashes:
    """32 bits spread evenly for each text (the finalizer of Appleby's MurmurHash3 over CRC-32)."""
    codes = (zlib.crc32(text.encode(errors="replace")) for text in texts)
    found: Hashes = np.fromiter(codes, dtype=np.uint32, count=len(texts))
    found = (found ^ (found >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    found = (found ^ (found >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return found ^ (found >> np.uint32(16))

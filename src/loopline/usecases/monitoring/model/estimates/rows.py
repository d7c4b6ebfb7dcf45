"""Logged predictions as arrays, and a bounded sample of them that is the same whoever draws it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.core.tables import Column
from loopline.usecases.monitoring.model.arrays import NO_TIME, floats_of, milliseconds

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Words:
    """n texts as `codes` into `names`; an empty one is the last name, None."""

    codes: NDArray[np.int64]
    names: list[str | None]

    def where(self, chosen: NDArray[Any]) -> Words:
        """The texts chosen by a mask or by positions."""
        return Words(self.codes[chosen], self.names)

    def counts(self) -> dict[str, int]:
        """How often each text occurs."""
        found = np.bincount(self.codes, minlength=len(self.names)).tolist()
        return {name: n for name, n in zip(self.names, found, strict=True) if name is not None and n}


@dataclass(frozen=True)
class Rows:
    """n rows. `score` float64, `truth` float64 (NaN: none yet), `known_ms` when truth became known (NEVER: not yet),
    `event_ms`; `numbers` and `texts` hold the inputs by name."""

    score: Floats
    truth: Floats
    known_ms: NDArray[np.int64]
    event_ms: NDArray[np.int64]
    version: Floats
    numbers: dict[str, Floats]
    texts: dict[str, Words]

    def __len__(self) -> int:
        return len(self.score)

    def where(self, chosen: NDArray[Any]) -> Rows:
        """The rows chosen by a mask or by positions."""
        return Rows(
            self.score[chosen],
            self.truth[chosen],
            self.known_ms[chosen],
            self.event_ms[chosen],
            self.version[chosen],
            {name: values[chosen] for name, values in self.numbers.items()},
            {name: values.where(chosen) for name, values in self.texts.items()},
        )

    def known(self, as_of_ms: int) -> NDArray[np.bool_]:
        """Which rows had their truth at a moment of the event clock."""
        return np.isfinite(self.truth) & (self.known_ms <= as_of_ms)

    def versions(self) -> tuple[float, ...]:
        """The versions that served more than a twentieth of the rows."""
        versions, counts = np.unique(self.version[np.isfinite(self.version)], return_counts=True)
        return tuple(versions[counts > 0.05 * len(self.version)].tolist())

    def main_version(self) -> int | None:
        """The version that served most rows."""
        versions, counts = np.unique(self.version[np.isfinite(self.version)], return_counts=True)
        return int(versions[np.argmax(counts)]) if len(versions) else None


def sampled(table: pa.Table, most: int) -> pa.Table:
    """At most `most` rows, those with the smallest CRC-32 of their id: the same ones each time, in their order."""
    if len(table) <= most:
        return table
    ids = table["id"].to_pylist()
    marks = np.fromiter((zlib.crc32(str(value).encode()) for value in ids), dtype=np.uint32, count=len(ids))
    return table.take(np.sort(np.argsort(marks, kind="stable")[:most]))


def rows_of(table: pa.Table, inputs: Sequence[tuple[Column, str]]) -> Rows:
    """The rows of a table with id, prediction, truth, known_at, event_time, version and the inputs (column, logged name);
    an input that was not logged, or is a moment, is left out. Rows without a finite prediction are left out."""
    score = floats_of(table["prediction"])
    events = milliseconds(table["event_time"])
    if "at" in table.column_names:
        events = np.where(events == NO_TIME, milliseconds(table["at"]), events)
    truth = floats_of(table["truth"])
    known = milliseconds(table["known_at"])
    known = np.where(np.isfinite(truth), np.where(known == NO_TIME, events, known), NEVER)
    present = [(column, name) for column, name in inputs if name in table.column_names]
    numbers = {c.name: floats_of(table[n]) for c, n in present if c.type in ("float", "integer")}
    texts = {c.name: _words(table[n]) for c, n in present if c.type in ("string", "boolean")}
    whole = Rows(score, truth, known, events, floats_of(table["version"]), numbers, texts)
    return whole.where(np.isfinite(score)) if not np.isfinite(score).all() else whole


def _words(column: Any) -> Words:
    encoded = column.cast("string").combine_chunks().dictionary_encode()
    names = [*encoded.dictionary.to_pylist(), None]
    codes = encoded.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    return Words(np.asarray(codes, dtype=np.int64), names)

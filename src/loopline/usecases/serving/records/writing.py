"""Writing the logs: predictions by revision, truth by endpoint. Nothing here needs numpy or Arrow."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.tables import Signature
from loopline.usecases.serving.model import column_name
from loopline.usecases.serving.options import DEFAULTS, Options
from loopline.usecases.serving.records.columns import Packed, join, kind_of
from loopline.usecases.serving.records.segments import Header, Inputs, Segment, decode, encode, names, read

PREDICTIONS, TRUTH, SHADOWS = "predictions", "truth", "shadows"
NO_TIME = -(1 << 63)
MOST_BYTES = 32 << 20
OLDEST_S = 300.0
BLOCK_ROWS = 65536


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Predictions made together. `ms`, `counter`, `event` are int64 bytes, `row` and `latency` (microseconds) int32;
    `event` and `key` are None where no row has any; `prediction` and `columns` (the inputs of the header) as in
    records.columns. `arm` and `caller` hold one text a row, or nothing: then the arm is live and the caller unknown.
    `explanation`: the base values and, for each input of the header, the contributions, float64 bytes."""

    rows: int
    ms: bytes
    counter: bytes
    row: bytes
    latency: bytes
    event: bytes | None
    key: list[str | None] | None
    prediction: Packed
    columns: list[Packed]
    arm: list[str] = []
    caller: list[str] = []
    explanation: tuple[bytes, list[bytes]] | None = None


class Truth(msgspec.Struct, frozen=True):
    """One piece of ground truth: for a prediction, or for a key at an event time. Times in milliseconds. One that is a text is
    the `label`, and its value is NaN."""

    prediction_id: str | None
    key: str | None
    event: int | None
    value: float
    observed: int
    label: str | None = None


def prediction_header(
    endpoint: str, writer: int, revision: int, model: str, version: int, signature: Signature,
    options: Options = DEFAULTS,
) -> Header:  # fmt: skip
    """What all predictions of a revision share."""
    logged = [column for column in signature.inputs if column.name not in options.redact]
    inputs = tuple(Inputs(column_name(column.name), column.type, kind_of(column)) for column in logged)
    output = "s" if signature.output.type in ("string", "timestamp") else "d"
    return Header(
        kind=PREDICTIONS, endpoint=endpoint, writer=writer, revision=revision, model=model, version=version,
        inputs=inputs, output=output, rules=options.rules, sample=options.sample, redact=options.redact,
    )  # fmt: skip


def merged(header: Header, batches: Sequence[Batch]) -> tuple[bytes, int]:
    """One block's payload out of several batches, and how many rows it holds."""
    rows = sum(batch.rows for batch in batches)
    columns = [
        join(inputs.kind, [batch.columns[place] for batch in batches]) for place, inputs in enumerate(header.inputs)
    ]
    has_event = any(batch.event is not None for batch in batches)
    has_key = any(batch.key is not None for batch in batches)
    payload = [
        rows,
        b"".join([batch.ms for batch in batches]),
        b"".join([batch.counter for batch in batches]),
        b"".join([batch.row for batch in batches]),
        b"".join([batch.latency for batch in batches]),
        b"".join([batch.event or array("q", [NO_TIME]) * batch.rows for batch in batches]) if has_event else None,
        [key for batch in batches for key in batch.key or [None] * batch.rows] if has_key else None,
        join(header.output, [batch.prediction for batch in batches]),
        columns,
        _texts([batch.arm or ["live"] * batch.rows for batch in batches]),
        _texts([batch.caller or [""] * batch.rows for batch in batches]),
        _explanations(header, batches) if any(batch.explanation is not None for batch in batches) else None,
    ]
    return encode(payload), rows


def _texts(parts: Sequence[list[str]]) -> str | list[str]:
    """One text a row; a single text where all rows have the same, as is the rule."""
    found = set().union(*parts)
    return found.pop() if len(found) == 1 else [text for part in parts for text in part]


def _explanations(header: Header, batches: Sequence[Batch]) -> list[Any]:
    """Base values and contributions of all rows; NaN where a row was not explained."""
    parts = []
    for batch in batches:
        nothing = array("d", [math.nan]).tobytes() * batch.rows
        parts.append(batch.explanation or (nothing, [nothing] * len(header.inputs)))
    return [
        b"".join([part[0] for part in parts]),
        [b"".join(column) for column in zip(*(part[1] for part in parts), strict=True)],
    ]


class PredictionLog:
    """The predictions of one revision by one writer, in segments of bounded size and age."""

    def __init__(self, home: Path, header: Header, most_bytes: int = MOST_BYTES, oldest_s: float = OLDEST_S) -> None:
        self.header = header
        self.rows = 0
        self._folder = home / PREDICTIONS / header.endpoint
        self._limits = most_bytes, oldest_s
        self._segment: Segment | None = None
        self._count = 0

    def write(self, batches: Sequence[Batch]) -> int:
        """Append and fsync; answers how many rows. After an OSError nothing of it counts and it may be asked again."""
        payload, rows = merged(self.header, batches)
        if self._segment is None:
            first = min(array("q", batch.ms)[0] for batch in batches)
            name = f"{first:013d}-{self.header.writer:04x}-r{self.header.revision}-{time.monotonic_ns():x}"
            self._segment = Segment(self._folder, name, self.header)
        try:
            self._segment.append(payload, rows)
        except OSError:
            self.close()
            raise
        self.rows += rows
        self.rotate()
        return rows

    def rotate(self) -> None:
        """Close the segment when it is to be sealed."""
        if self._segment is not None and self._segment.is_due(*self._limits):
            self.close()

    def close(self) -> None:
        """Close the segment; the next write opens another."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None


class TruthLog:
    """The ground truth of one endpoint. Exactly one process writes it; `seq` counts on from what is on disk."""

    def __init__(
        self, home: Path, endpoint: str, writer: int, most_bytes: int = MOST_BYTES, oldest_s: float = OLDEST_S
    ) -> None:
        self._folder = home / TRUTH / endpoint
        self._header = Header(kind=TRUTH, endpoint=endpoint, writer=writer)
        self._limits = most_bytes, oldest_s
        self._segment: Segment | None = None
        self._next = last_seq(self._folder) + 1

    def write(self, records: Sequence[Truth]) -> int:
        """Append and fsync; answers the seq of the first record. After an OSError none of them counts."""
        first, received = self._next, time.time_ns() // 1_000_000
        payload = encode(
            [
                len(records),
                first,
                received,
                [record.prediction_id for record in records],
                [record.key for record in records],
                [record.event for record in records],
                array("d", [record.value for record in records]).tobytes(),
                array("q", [record.observed for record in records]).tobytes(),
                *_labels(records),
            ]
        )
        if self._segment is None:
            self._segment = Segment(self._folder, f"{first:016d}-{time.monotonic_ns():x}", self._header)
        try:
            self._segment.append(payload, len(records))
        except OSError:
            self.close()
            raise
        self._next += len(records)
        self.rotate()
        return first

    def rotate(self) -> None:
        """Close the segment when it is to be sealed."""
        if self._segment is not None and self._segment.is_due(*self._limits):
            self.close()

    def close(self) -> None:
        """Close the segment; the next write opens another."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None


def _labels(records: Sequence[Truth]) -> list[list[str | None]]:
    """One more value of the block, where a text is among the truth."""
    labels = [record.label for record in records]
    return [] if all(label is None for label in labels) else [labels]


def last_seq(folder: Path) -> int:
    """The seq of the last truth on disk: Parquet files name theirs, of segments the newest are read."""
    last = max((int(name.split("-")[1]) for name in names(folder, ".parquet")), default=0)
    for name in reversed(names(folder)):
        found = read(folder / name)
        if found is not None and found[1]:
            return max([last, *(int(block[1] + block[0] - 1) for block in found[1])])
        last = max(last, int(name.split("-")[0]) - 1)
    return last


__all__ = ["Batch", "PredictionLog", "Truth", "TruthLog", "decode", "last_seq", "merged", "prediction_header"]

"""Prediction ids: base32hex of 48 bits of milliseconds, 16 bits of writer and a 40-bit counter; they sort by time.

The lowest bit of the counter says whether the request had several rows: then row i is `<id>-<i>`, else the id itself
names the one row, and `<id>-0` is another way to write it.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pyarrow as pa

ALPHABET = "0123456789abcdefghijklmnopqrstuv"
LENGTH = 21
ROW = re.compile(r"([0-9a-v]{21})(?:-(0|[1-9][0-9]{0,9}))?\Z")
COUNTER_MASK = (1 << 40) - 1
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_SHIFTS = range(95, 4, -10)
# The last 10 bits of the 105 (the counter's lowest 9 and one of padding) as two letters.
_TAIL = [ALPHABET[v >> 4] + ALPHABET[v << 1 & 31] for v in range(512)]


def text_of(ms: int, writer: int, counter: int) -> str:
    """The 21 letters of an id."""
    bits = (((ms << 16) | writer) << 40 | counter) << 1
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS]) + ALPHABET[bits & 31]


def parts_of(letters: str) -> tuple[int, int, int]:
    """(milliseconds, writer, counter) of an id's 21 letters."""
    bits = int(letters, 32) >> 1
    return bits >> 56, bits >> 40 & 0xFFFF, bits & COUNTER_MASK


def parsed(prediction_id: str) -> tuple[int, int, int, int]:
    """(milliseconds, writer, counter, row) of a prediction id; row is -1 where the request had a single row.

    Raises Invalid for text that is no id, or that leaves open which row of several is meant.
    """
    match = ROW.match(prediction_id)
    if match is None or int(match[1][-1], 32) & 1:
        raise Invalid(f"{prediction_id[:60]!r} is not a prediction id.", "Take it from the answer of a prediction.")
    ms, writer, counter = parts_of(match[1])
    if counter & 1:
        if match[2] is None:
            raise Invalid(f"{prediction_id} stands for several rows.", f"Name one of them, as in {prediction_id}-0.")
        return ms, writer, counter, int(match[2])
    if match[2] not in (None, "0"):
        raise Invalid(f"{prediction_id} names a row that was not there.", f"Its request had one row: {match[1]}.")
    return ms, writer, counter, -1


def canonical(prediction_id: str) -> str:
    """The one way in which the log writes this id; Invalid as in `parsed`."""
    _, _, _, row = parsed(prediction_id)
    letters = prediction_id[:LENGTH]
    return letters if row < 0 else f"{letters}-{row}"


class Ids:
    """Makes the ids of one writer. Time never goes back within it; the counter begins at a random place."""

    def __init__(self, writer: int | None = None, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.writer = int.from_bytes(os.urandom(2)) if writer is None else writer
        self.counter = int.from_bytes(os.urandom(4)) << 6
        self.ms = 0
        self._clock_ns = clock_ns
        self._prefix = ""
        self._prefix_of = (-1, -1)

    def next(self, several: bool) -> str:
        """A new id; afterwards `ms` and `counter` are its parts."""
        ms = self._clock_ns() // 1_000_000
        if ms > self.ms:
            self.ms = ms
        counter = (self.counter | 1) + 1 & COUNTER_MASK
        self.counter = counter = counter | 1 if several else counter
        upper = (self.ms, counter >> 9)
        if upper != self._prefix_of:
            self._prefix = text_of(self.ms, self.writer, counter)[:-2]
            self._prefix_of = upper
        return self._prefix + _TAIL[counter & 511]


def id_column(
    ms: np.ndarray[Any, Any], writer: int, counter: np.ndarray[Any, Any], row: np.ndarray[Any, Any]
) -> pa.Array:
    """The ids as an Arrow string array, for int64 arrays of milliseconds, counters and rows (-1: no row number)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    high = ms.astype(np.uint64) << np.uint64(16) | np.uint64(writer)
    low = counter.astype(np.uint64) << np.uint64(1)
    digits = np.empty((len(ms), LENGTH), dtype=np.uint8)
    for place in range(12):
        digits[:, place] = high >> np.uint64(59 - 5 * place) & np.uint64(31)
    digits[:, 12] = (high & np.uint64(15)) << np.uint64(1) | low >> np.uint64(40)
    for place in range(13, LENGTH):
        digits[:, place] = low >> np.uint64(5 * (LENGTH - 1 - place)) & np.uint64(31)
    letters = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)[digits]
    texts = pa.array(letters.view(f"S{LENGTH}").ravel(), pa.binary()).cast(pa.string())
    if (row < 0).all():
        return texts
    numbered = pc.binary_join_element_wise(texts, pa.array(row).cast(pa.string()), "-")
    return pc.if_else(pa.array(row < 0), texts, numbered)


def times_of(ids: pa.ChunkedArray | pa.Array) -> np.ndarray[Any, Any]:
    """The millisecond that each id holds, as int64; -1 for null and for text that is no id."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    valid = pc.fill_null(pc.match_substring_regex(whole, "^[0-9a-v]{21}(-[0-9]+)?$"), False)
    found = np.full(len(whole), -1, dtype=np.int64)
    letters = pc.utf8_slice_codeunits(whole.filter(valid), 0, 10).cast(pa.binary()).cast(pa.binary(10))
    if len(letters):
        content = letters.buffers()[1]
        start = letters.offset * 10
        digits = np.frombuffer(content, dtype=np.uint8)[start : start + 10 * len(letters)].reshape(-1, 10)
        values = np.zeros(256, dtype=np.int64)
        values[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(32)
        bits = np.zeros(len(letters), dtype=np.int64)
        for place in range(10):
            bits <<= 5
            bits |= values[digits[:, place]]
        found[np.asarray(valid.to_numpy(zero_copy_only=False))] = bits >> 2
    return found

"""The rows of two windows, ready to be split into segments. Imports numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
BINS = 8
FEW, MOST = 12, 30
OTHERS, MISSING = "others", "missing"


@dataclass(frozen=True)
class Coded:
    """One column: the code of each row, what each code is called, and whether neighbouring codes may be joined.

    `edges` are the inner borders of the bins of numbers; code 0 lies below the first, the last code is for missing.
    """

    name: str
    codes: Ints
    names: tuple[str, ...]
    ordered: bool = False
    edges: tuple[float, ...] = ()

    def at(self, rows: Flags | Ints) -> Coded:
        """The same of some rows."""
        return replace(self, codes=self.codes[rows])

    def told(self, first: int, last: int) -> str:
        """The segment of the codes from `first` to `last`, in words."""
        if not self.ordered or MISSING in self.names[first : last + 1]:
            return f"{self.name} = {self.names[first]}" if first == last else f"{self.name} = {self.names[first]} …"
        low = None if first == 0 else self.edges[first - 1]
        high = None if last >= len(self.edges) else self.edges[last]
        if low is None or high is None:
            return f"{self.name} < {high:.6g}" if low is None else f"{self.name} >= {low:.6g}"
        return f"{low:.6g} <= {self.name} < {high:.6g}"


@dataclass(frozen=True)
class Rows:
    """n rows of both windows.

    `value` is what each row adds: its mean over a window's rows is the metric there. `now` says which are of the window
    that is explained, `block` in which stretch of time (0, 1, …; each of one window only) the row lies. `declared` names the few columns that someone asked about.
    """

    value: Floats
    now: Flags
    block: Ints
    columns: tuple[Coded, ...]
    declared: frozenset[str] = frozenset()

    def at(self, rows: Flags) -> Rows:
        """Some of the rows."""
        return Rows(
            self.value[rows], self.now[rows], self.block[rows], tuple(c.at(rows) for c in self.columns), self.declared
        )


def coded(name: str, column: Any, now: Flags) -> Coded | None:
    """A column of Arrow as codes: numbers in bins between quantiles of the rows then (and what lies beyond all of them),
    texts by value, the rare ones together. None for a column of something else, or of one value only."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        numbers = np.asarray(column.cast("float64", safe=False).to_numpy(zero_copy_only=False), dtype=float)
        found = _numbers(name, numbers, now)
    elif (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_dictionary(kind)
    ):
        found = _texts(name, column.cast("string"), now)
    else:
        return None
    return found if len(np.unique(found.codes)) > 1 else None


def _numbers(name: str, values: Floats, now: Flags) -> Coded:
    finite = np.isfinite(values)
    known = values[finite & ~now] if (finite & ~now).any() else values[finite]
    distinct = np.unique(values[finite])
    if len(distinct) <= FEW:
        codes = np.where(finite, np.searchsorted(distinct, np.where(finite, values, 0)), len(distinct))
        return Coded(name, codes, (*(f"{value:g}" for value in distinct), MISSING))
    inner = np.quantile(known, np.arange(1, BINS) / BINS)
    # What nobody had before has bins of its own: a unit that changed shows there and nowhere else.
    edges = np.unique(np.concatenate(([known.min()], inner, [np.nextafter(known.max(), np.inf)])))
    codes = np.where(finite, np.searchsorted(edges, np.where(finite, values, 0), side="right"), len(edges) + 1)
    names = tuple(f"bin {place}" for place in range(len(edges) + 1))
    return Coded(name, codes.astype(np.int64), (*names, MISSING), ordered=True, edges=tuple(map(float, edges)))


def _texts(name: str, column: Any, now: Flags) -> Coded:
    combined = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    encoded = combined.dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    values = encoded.dictionary.to_pylist()
    kept = _common(codes, now, len(values))
    place = np.full(len(values) + 1, len(kept), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    place[-1] = len(kept) + 1
    return Coded(name, place[codes], (*(repr(values[code]) for code in kept), OTHERS, MISSING))


def _common(codes: Ints, now: Flags, count: int) -> Ints:
    """The values with most rows, of both windows and of now alone: a new value is rare in all of them."""
    totals = [np.bincount(codes[chosen & (codes >= 0)], minlength=count) for chosen in (now, np.ones(len(now), bool))]
    most = [np.argsort(-total, kind="stable")[: MOST // 2] for total in totals]
    chosen = np.unique(np.concatenate(most)) if count > MOST else np.arange(count)
    return np.asarray(chosen, dtype=np.int64)


def blocks(times_ms: Ints, now: Flags, least: int = 5) -> Ints:
    """Days of both windows, or hours, or twelfths of their rows, whichever first gives `least` blocks to each window."""
    for length in (86_400_000, 3_600_000):
        numbers = times_ms // length * 2 + now
        if all(len(np.unique(numbers[side])) >= least for side in (now, ~now)):
            return np.asarray(np.unique(numbers, return_inverse=True)[1], dtype=np.int64)
    found = np.zeros(len(now), dtype=np.int64)
    for side, first in ((now, 0), (~now, 12)):
        order = np.argsort(times_ms[side], kind="stable")
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order)) * 12 // max(len(order), 1)
        found[side] = places + first
    return np.asarray(np.unique(found, return_inverse=True)[1], dtype=np.int64)


def goes_with_time(column: Coded, block: Ints) -> bool:
    """Whether a column says little more than the time: nearly all rows of a block share one value, as the month or the day of
    the month do. It differs between any two windows and explains neither."""
    blocks, width = int(block.max(initial=-1)) + 1, len(column.names)
    table = np.bincount(block * width + column.codes, minlength=blocks * width).reshape(blocks, width)
    return bool(
        table.max(axis=1).sum() >= 0.95 * table.sum()
        and len(np.unique(table.argmax(axis=1)[table.sum(axis=1) > 0])) > 1
    )


def joined(columns: Sequence[Coded | None]) -> tuple[Coded, ...]:
    """Those that can be split by."""
    return tuple(column for column in columns if column is not None)

"""The fixed cell table of numbers. Imports numpy: import this module only where profiles are made or compared.

A cell is the upper 16 bits of float32 of (x - centre) / scale, rounded to nearest: 128 cells an octave. Two things make
the table coarser where it would be larger than it may be, and both are exact when tables are added:

- `floor`, fixed with centre and scale: below 2^floor (from the centre, in scales) cells are 2^(floor-7) wide instead of
  ever narrower. It is chosen so that at most an eighth of the first rows lies there.
- `level`, 0 to 7: 2^level neighbouring cells are one. It is the smallest at which the bound of `_bytes_at_most` holds.
  As that bound grows with the rows and with the cells in use, the level of a union is never below that of a part,
  and does not depend on the order of addition.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CELLS = 65_536
CELL_BYTES = 9_216
NO_FLOOR = -126
MOST_LEVEL = 7
MOST_FEW = 4_096
_LARGEST = 3.3e38
_CHUNK = 65_536
_TAG = 2
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Grid(NamedTuple):
    """Where a column's cells lie; fixed once per column."""

    centre: float = 0.0
    scale: float = 1.0
    floor: int = NO_FLOOR


def fitted(values: Floats) -> Grid:
    """The grid for a column whose first finite values these are (at most 100,000 of them, evenly chosen, are looked at)."""
    sample = values[:: max(1, len(values) // 100_000)]
    centre, scale = centre_and_scale(sample)
    with np.errstate(over="ignore"):
        apart = np.abs((sample - centre) / scale)
    apart = apart[(apart > 0) & np.isfinite(apart)]
    if len(apart) == 0:
        return Grid(centre, scale)
    return Grid(centre, scale, int(np.clip(np.floor(np.log2(np.quantile(apart, 0.125))), NO_FLOOR, 64)))


def centre_and_scale(values: Floats) -> tuple[float, float]:
    """A power of two near the spread of finite values, and the multiple of it nearest the median.

    Both being binary round numbers, whole numbers stay exact. At most 100,000 evenly chosen values are looked at.
    """
    sample = values[:: max(1, len(values) // 100_000)]
    if len(sample) == 0:
        return 0.0, 1.0
    low, median, high = np.quantile(sample / 4, [0.16, 0.5, 0.84]) * 4
    spread = float(high / 2 - low / 2) or float((sample / 1e150).std() * 1e150) or 1.0
    scale = float(2.0 ** np.clip(np.round(np.log2(spread)), -1000, 1000))
    return float(np.round(median / scale) * scale) + 0.0, scale


def cell_numbers(values: Floats, centre: float, scale: float) -> NDArray[np.uint16]:
    """The cell of each finite value; cells are numbered in the order of the values."""
    with np.errstate(over="ignore"):
        scaled = (values - centre) / scale
    return _numbered(np.clip(scaled, -_LARGEST, _LARGEST).astype(np.float32))


def cell_values(cells: NDArray[Any], centre: float, scale: float) -> Floats:
    """The value in the middle of each cell."""
    numbers = cells.astype(np.uint16)
    bits = np.where(numbers & 0x8000, numbers & np.uint16(0x7FFF), ~numbers).astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32).astype(np.float64) * scale + centre


def numbers_scaled(scaled: Floats) -> NDArray[np.uint16]:
    """The cell of each of some values (x - centre) / scale."""
    return _numbered(np.clip(scaled, -_LARGEST, _LARGEST).astype(np.float32))


def packed(counts: Counts, floor: int = NO_FLOOR) -> bytes:
    """The counts of CELLS cells as at most CELL_BYTES bytes.

    A tag, level and floor, then zlib over variable-length integers: steps between the cells in use, then their counts.
    """
    cells = np.flatnonzero(counts != 0)
    return packed_few(cells, counts[cells], floor)


def packed_few(cells: Counts, counts: Counts, floor: int = NO_FLOOR) -> bytes:
    """As `packed`, of the increasing cells in use and their counts."""
    return _packed(_grouped(floor)[cells] if floor > NO_FLOOR else cells, counts, floor, 0)


def unpacked(content: bytes) -> tuple[Counts, Counts]:
    """(increasing cell numbers, their counts); a group of cells is told by the one in its middle."""
    groups, counts, _, level = _read(content)
    return (groups << level) + ((1 << level) >> 1), counts


def floor_and_level(content: bytes) -> tuple[int, int]:
    """How coarse packed cells are."""
    return (NO_FLOOR, 0) if content[:1] != bytes((_TAG,)) else (content[2] - 128, content[1])


def added(contents: Sequence[bytes], floor: int) -> bytes:
    """The packed cells of all together; those that hold anything have that floor."""
    level = max(floor_and_level(content)[1] for content in contents)
    read = [(groups >> (level - own), counts) for groups, counts, _, own in map(_read, contents)]
    if sum(len(groups) for groups, _ in read) <= MOST_FEW:
        groups = np.concatenate([groups for groups, _ in read])
        order = np.argsort(groups, kind="stable")
        return _packed(groups[order], np.concatenate([counts for _, counts in read])[order], floor, level)
    total = np.zeros(CELLS >> level, dtype=np.int64)
    for groups, counts in read:
        np.add.at(total, groups, counts)
    found = np.flatnonzero(total != 0)
    return _packed(found, total[found], floor, level)


def side_by_side(*contents: bytes) -> tuple[Counts, Counts]:
    """(cell numbers that any of them uses, counts of shape (len(contents), cells)), all as coarse as the coarsest."""
    groups, table, level = _common(*contents)
    return (groups << level) + ((1 << level) >> 1), table


def _common(*contents: bytes) -> tuple[Counts, Counts, int]:
    """(groups that any of them uses, counts of shape (len(contents), groups), the level of all)."""
    floor, level = (max(found) for found in zip(*map(floor_and_level, contents), strict=True))
    parts = []
    for own, counts, own_floor, own_level in map(_read, contents):
        if own_floor == floor:
            parts.append(_summed(own >> (level - own_level), counts))
        else:
            cells = (own << own_level) + ((1 << own_level) >> 1)
            parts.append(_summed(_grouped(floor)[cells] >> level, counts))
    groups = np.unique(np.concatenate([own for own, _ in parts]))
    table = np.zeros((len(parts), len(groups)), dtype=np.int64)
    for row, (own, counts) in zip(table, parts, strict=True):
        row[np.searchsorted(groups, own)] = counts
    return groups, table, level


def _packed(groups: Counts, counts: Counts, floor: int, level: int) -> bytes:
    """Increasing groups of a level (they may repeat) and their counts, at the first level from there at which they fit."""
    first, rows = level, int(counts.sum())
    while level < MOST_LEVEL and _bytes_at_most(_distinct(groups >> (level - first)), rows) > CELL_BYTES:
        level += 1
    found, sums = _summed(groups >> (level - first), counts)
    content = _variable(np.diff(found, prepend=0)) + _variable(sums)
    return bytes((_TAG, level, floor + 128)) + zlib.compress(content, 6)


def _numbered(scaled: NDArray[np.float32]) -> NDArray[np.uint16]:
    bits = scaled.view(np.uint32)
    bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    upper = bits.astype(np.uint16)
    return np.where(upper & 0x8000, ~upper, upper | np.uint16(0x8000))


def _distinct(ordered: Counts) -> int:
    return int((np.diff(ordered) != 0).sum()) + bool(len(ordered))


def _summed(ordered: Counts, counts: Counts) -> tuple[Counts, Counts]:
    """The different numbers among increasing ones, and the sum of the counts of each."""
    first = np.flatnonzero(np.diff(ordered, prepend=-1) != 0)
    return ordered[first], np.add.reduceat(counts, first) if len(first) else counts


def _bytes_at_most(cells: int, rows: int) -> float:
    """No `cells` counts of `rows` rows take more bytes than this: one and log2(count)/7 for each count, one for each step
    and one more for each of the at most 516 that are above 127. It grows with the cells and with the rows."""
    return 2 * cells + cells * float(np.log2(max(rows, 1) / max(cells, 1))) / 7 + 532


@lru_cache(maxsize=256)
def _grouped(floor: int) -> Counts:
    """The cell that stands for each cell when those below 2^floor are equally wide."""
    stands = np.arange(CELLS)
    finite = stands[0x0080:0xFF80]  # beyond are infinities and what is no number
    values = cell_values(finite, 0.0, 1.0)
    inside = finite[np.abs(values) < 2.0**floor]
    wide = np.rint(cell_values(inside, 0.0, 1.0) * 2.0 ** (7 - floor)) * 2.0 ** (floor - 7) + 0.0
    stands[inside] = cell_numbers(wide, 0.0, 1.0)
    return stands


def _variable(numbers: Counts) -> bytes:
    """Numbers >= 0 as LEB128: seven bits a byte, the lowest first, the eighth bit says that more follow."""
    if len(numbers) == 0:
        return b""
    width = max((int(numbers.max()).bit_length() + 6) // 7, 1)
    if width == 1:
        return numbers.astype(np.uint8).tobytes()
    length = np.ones(len(numbers), dtype=np.int64)
    for place in range(1, width):
        length += numbers >= 1 << 7 * place
    starts = np.cumsum(length) - length
    written = np.empty(int(length.sum()), dtype=np.uint8)
    for place in range(width):
        there = np.flatnonzero(length > place) if place else slice(None)
        more = np.where(length[there] > place + 1, 128, 0)
        written[starts[there] + place] = (numbers[there] >> 7 * place) & 127 | more
    return bytes(written)


def _numbers(content: bytes) -> Counts:
    raw = np.frombuffer(content, dtype=np.uint8).astype(np.int64)
    last = np.flatnonzero(raw < 128)
    if len(last) == len(raw):
        return raw
    if len(last) == 0:
        return np.zeros(0, dtype=np.int64)
    first = np.concatenate([[0], last[:-1] + 1])
    places = np.arange(len(raw)) - np.repeat(first, last - first + 1)
    return np.asarray(np.add.reduceat((raw & 127) << (7 * places), first), dtype=np.int64)


def _read(content: bytes) -> tuple[Counts, Counts, int, int]:
    """(groups, counts, floor, level); reads what was written before there were levels, too."""
    if content[:1] != bytes((_TAG,)):
        raw = zlib.decompress(content)
        count = len(raw) // 10
        steps = np.frombuffer(raw, dtype="<u2", count=count).astype(np.int64)
        return np.cumsum(steps), np.frombuffer(raw, dtype="<i8", offset=2 * count).astype(np.int64), NO_FLOOR, 0
    numbers = _numbers(zlib.decompress(content[3:]))
    half = len(numbers) // 2
    return np.cumsum(numbers[:half]), numbers[half:], content[2] - 128, content[1]

"""The fixed cell table of numbers. Imports numpy: import this module only where profiles are made or compared."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELLS = 65_536
_LARGEST = np.float32(3.3e38)
_CHUNK = 262_144


def centre_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Fixed once per column: a power of two near its spread, and the multiple of it nearest the median.

    Both being binary round numbers, whole numbers stay exact. From at most 100,000 evenly chosen finite values.
    """
    sample = values[:: max(1, len(values) // 100_000)]
    if len(sample) == 0:
        return 0.0, 1.0
    low, median, high = np.quantile(sample, [0.16, 0.5, 0.84])
    spread = float((high - low) / 2) or float(sample.std()) or 1.0
    scale = float(2.0 ** np.clip(np.round(np.log2(spread)), -1000, 1000))
    return float(np.round(median / scale) * scale), scale


def cell_numbers(values: NDArray[np.float64], centre: float, scale: float) -> NDArray[np.uint16]:
    """The cell of each finite value; cells are numbered in the order of the values."""
    scaled = np.clip((values - centre) / scale, -_LARGEST, _LARGEST).astype(np.float32)
    bits = scaled.view(np.uint32)
    bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    upper = bits.astype(np.uint16)
    return np.where(upper & 0x8000, ~upper, upper | np.uint16(0x8000))


def cell_values(cells: NDArray[Any], centre: float, scale: float) -> NDArray[np.float64]:
    """The value in the middle of each cell."""
    numbers = cells.astype(np.uint16)
    bits = np.where(numbers & 0x8000, numbers & np.uint16(0x7FFF), ~numbers).astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32).astype(np.float64) * scale + centre


def counted(values: NDArray[np.float64], centre: float, scale: float) -> NDArray[np.int64]:
    """How many values fall in each of the CELLS cells; in chunks that stay in the processor's cache."""
    counts = np.zeros(CELLS, dtype=np.int64)
    for start in range(0, len(values), _CHUNK):
        counts += np.bincount(cell_numbers(values[start : start + _CHUNK], centre, scale), minlength=CELLS)
    return counts


def packed(counts: NDArray[np.int64]) -> bytes:
    """Counts as bytes, without the empty cells."""
    cells = np.flatnonzero(counts)
    steps = np.diff(cells, prepend=0).astype("<u2")
    return zlib.compress(steps.tobytes() + counts[cells].astype("<i8").tobytes(), 6)


def unpacked(content: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(increasing cell numbers, their counts)."""
    raw = zlib.decompress(content)
    count = len(raw) // 10
    steps = np.frombuffer(raw, dtype="<u2", count=count).astype(np.int64)
    return np.cumsum(steps), np.frombuffer(raw, dtype="<i8", offset=2 * count).astype(np.int64)

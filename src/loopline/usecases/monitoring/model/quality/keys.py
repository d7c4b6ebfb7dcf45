"""Numbers as whole-numbered keys in the order of the numbers, and counts by key as bytes. Imports numpy.

A probability is keyed by its log-odds, so that scores of rare events are kept apart as well as others. Up to FINE_ROWS rows
keys are 2**-20 wide, which tells nearly all scores apart; beyond, 2**-11, or 0.05 % of the odds: areas under curves come
out right to about 1e-5. Which of both follows from the number of rows alone, so that it does not matter in which order
counts are added. Other numbers keep 23 or 14 binary digits.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEPS, MOST_ODDS = 1 << 20, 32
LAST = STEPS * MOST_ODDS
FINE_ROWS = 5000
_COARSER = 9
_DELAY_STEPS = 512
_LATENCY_STEPS = 256
_LARGEST = 3.0e38


def score_keys(scores: Floats, log_odds: Floats | None = None) -> Ints:
    """Fine keys of finite scores: probabilities by log-odds (given, or computed), scores beyond 0 or 1 after them."""
    odds = log_odds_of(scores) if log_odds is None else log_odds
    keys = np.floor(np.clip(odds, -MOST_ODDS, MOST_ODDS) * STEPS).astype(np.int64)
    beyond = np.flatnonzero((scores < 0) | (scores > 1))
    if len(beyond):
        far = scores[beyond]
        keys[beyond] = np.where(far > 1, LAST + 1 + number_keys(far - 1), -LAST - 1 + number_keys(np.minimum(far, 0)))
    return keys


def score_values(keys: Ints, coarse: bool = False) -> Floats:
    """The score in the middle of each key."""
    fine = (keys << _COARSER) + (1 << (_COARSER - 1)) if coarse else keys
    values = 1 / (1 + np.exp(-(np.clip(fine, -LAST, LAST) + 0.5) / STEPS))
    values = np.where(fine > LAST, 1 + number_values(fine - LAST - 1), values)
    return np.asarray(np.where(fine < -LAST, number_values(fine + LAST + 1), values))


def coarsened(keys: Ints) -> Ints:
    """Coarse keys of fine ones, in the same order (equal ones are not yet added up)."""
    return keys >> _COARSER


def log_odds_of(scores: Floats) -> Floats:
    """log(p / (1 - p)), infinite at and beyond 0 and 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(scores) - np.log1p(-scores)
    return np.where(scores <= 0, -np.inf, np.where(scores >= 1, np.inf, found))


def number_keys(numbers: Floats) -> Ints:
    """Fine keys of any numbers but NaN: their float32 as a whole number."""
    bits = np.clip(numbers, -_LARGEST, _LARGEST).astype(np.float32).view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF))


def number_values(keys: Ints) -> Floats:
    """The number of each fine key."""
    bits = np.minimum(np.abs(keys), 0x7F7FFFFF).astype(np.int32)
    return np.sign(keys) * bits.view(np.float32).astype(np.float64)


def delay_keys(milliseconds: Ints) -> Ints:
    """Keys of waits in steps of 0.2 %; a negative one counts as none."""
    return np.asarray(np.rint(np.log1p(np.maximum(milliseconds, 0) / 1000) * _DELAY_STEPS), dtype=np.int64)


def delay_hours(keys: Ints) -> Floats:
    """The hours in the middle of each key of a wait."""
    return np.asarray(np.expm1(keys / _DELAY_STEPS) / 3600)


def latency_keys(microseconds: Floats) -> Ints:
    """Keys of latencies in steps of 0.4 %."""
    return np.asarray(np.rint(np.log1p(np.maximum(microseconds, 0)) * _LATENCY_STEPS), dtype=np.int64)


def latency_ms(keys: Ints) -> Floats:
    """The milliseconds in the middle of each key of a latency."""
    return np.asarray(np.expm1(keys / _LATENCY_STEPS) / 1000)


def counted(keys: Ints) -> bytes:
    """How often each key occurs, packed."""
    if not len(keys):
        return b""
    low, high = int(keys.min()), int(keys.max())
    if high - low > 4 * len(keys) + 200_000:
        values, counts = np.unique(keys, return_counts=True)
        return packed(values, counts)
    counts = np.bincount(keys - low)
    values = np.flatnonzero(counts)
    return packed(values + low, counts[values])


def packed(keys: Ints, counts: Ints) -> bytes:
    """Increasing keys with counts above 0, as bytes; equal bytes for equal content. b"" for none."""
    if not len(keys):
        return b""
    steps = np.diff(keys)
    parts = [_narrow(steps), _narrow(counts)]
    head = np.array([len(keys), keys[0]], dtype="<i8").tobytes() + bytes(width for width, _ in parts)
    return zlib.compress(head + b"".join(content for _, content in parts), 6)


def unpacked(content: bytes) -> tuple[Ints, Ints]:
    """(increasing keys, their counts)."""
    if not content:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    raw = zlib.decompress(content)
    count, first = (int(number) for number in np.frombuffer(raw, dtype="<i8", count=2))
    steps = np.frombuffer(raw, dtype=f"<u{raw[16]}", offset=18, count=count - 1).astype(np.int64)
    counts = np.frombuffer(raw, dtype=f"<u{raw[17]}", offset=18 + raw[16] * (count - 1), count=count)
    return np.concatenate(([first], first + np.cumsum(steps))), counts.astype(np.int64)


def coarse(content: bytes) -> bytes:
    """The same counts by coarse keys."""
    keys, counts = unpacked(content)
    return packed(*summed([(coarsened(keys), counts)]))


def added(one: bytes, other: bytes) -> bytes:
    """The counts of both together."""
    if not one or not other:
        return one or other
    return packed(*summed([unpacked(one), unpacked(other)]))


def summed(parts: Iterable[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """(increasing keys, counts) of several together."""
    listed = list(parts)
    if not listed:
        return unpacked(b"")
    keys, places = np.unique(np.concatenate([keys for keys, _ in listed]), return_inverse=True)
    counts = np.zeros(len(keys), dtype=np.int64)
    np.add.at(counts, places, np.concatenate([counts for _, counts in listed]))
    return keys, counts


def _narrow(numbers: NDArray[Any]) -> tuple[int, bytes]:
    most = int(numbers.max(initial=0))
    width = 1 if most < 1 << 8 else 2 if most < 1 << 16 else 4 if most < 1 << 32 else 8
    return width, numbers.astype(f"<u{width}").tobytes()

"""Numbers as whole-numbered keys in the order of the numbers, and counts by key as bytes. Imports numpy.

A probability is keyed by its log-odds, so that scores of rare events are kept apart as well as others. Fine keys are 2**-20
wide, which tells nearly all scores apart. Where that makes more than MOST_KEYS different ones, they are twice as wide until it
does not: areas under curves come out right to about 1e-5, and a day of a million rows takes no more room than one of ten thousand.
How wide follows from the set of scores alone, so it does not matter in which order counts are added.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = tuple[Ints, Ints]
STEPS, MOST_ODDS = 1 << 20, 32
LAST = STEPS * MOST_ODDS
MOST_KEYS = 16_384
_ROUGH = 9
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


def score_values(keys: Ints, shift: int = 0) -> Floats:
    """The score in the middle of each key that was made wider by `shift` doublings."""
    fine = (keys << shift) + (1 << shift >> 1)
    values = 1 / (1 + np.exp(-(np.clip(fine, -LAST, LAST) + 0.5) / STEPS))
    values = np.where(fine > LAST, 1 + number_values(fine - LAST - 1), values)
    return np.asarray(np.where(fine < -LAST, number_values(fine + LAST + 1), values))


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
    return packed(*_counts(keys))


def _counts(keys: Ints) -> Counts:
    low, high = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    if high - low > 4 * len(keys) + 200_000:
        values, counts = np.unique(keys, return_counts=True)
        return values, counts
    counts = np.bincount(keys - low)
    values = np.flatnonzero(counts)
    return values + low, counts[values]


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


def fitted(one: Counts, other: Counts, shift: int = 0) -> tuple[int, bytes, bytes]:
    """(doublings, counts packed, counts packed) of two counts by keys that have `shift` doublings already."""
    every = np.union1d(one[0], other[0])
    more = 0
    while len(every) > MOST_KEYS and np.count_nonzero(np.diff(every >> more)) >= MOST_KEYS:
        more += 1
    return shift + more, packed(*wider(one, more)), packed(*wider(other, more))


def wider(counts: Counts, doublings: int) -> Counts:
    """The same counts by wider keys."""
    return summed([(counts[0] >> doublings, counts[1])]) if doublings else counts


def of_classes(keys: Ints, positive: NDArray[np.bool_]) -> tuple[int, bytes, bytes]:
    """(doublings, counts of negatives, counts of positives) of fine keys."""
    rough = keys >> _ROUGH
    # Where even these are too many, there is no need to count the fine ones.
    begin = _ROUGH if len(keys) > MOST_KEYS and len(_counts(rough)[0]) > MOST_KEYS else 0
    kept = rough if begin else keys
    return fitted(_counts(kept[~positive]), _counts(kept[positive]), begin)


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

"""Tables of classes: how often each truth was called what. Imports numpy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.tallies import MOST_CLASSES, Classes


def classes_of(
    predicted: NDArray[Any] | None, truth: NDArray[np.float64], labels: NDArray[Any] | None
) -> Classes | None:
    """The table of the rows whose prediction is a text and that have truth; a number as truth is written as a text."""
    if predicted is None:
        return None
    wanted = written(truth)
    if labels is not None:
        wanted = np.where(labels != np.array(None), labels, wanted)
    both = (wanted != np.array(None)) & (predicted != np.array(None))
    return table_of(wanted[both], predicted[both]) if both.any() else None


def written(numbers: NDArray[np.float64]) -> NDArray[Any]:
    """Numbers as texts (1.0 as "1"), None for NaN."""
    values, codes = np.unique(numbers, return_inverse=True)
    names = np.empty(len(values), dtype=object)
    names[:] = [f"{value:.17g}" if np.isfinite(value) else None for value in values.tolist()]
    return np.asarray(names[codes])


def table_of(truth: NDArray[Any], predicted: NDArray[Any]) -> Classes:
    """The table of pairs of texts."""
    import pyarrow as pa

    encoded = pa.array(np.concatenate((truth, predicted)), pa.string()).dictionary_encode()
    names, codes = encoded.dictionary.to_pylist(), np.asarray(encoded.indices.to_numpy(), dtype=np.int64)
    first, second = codes[: len(truth)], codes[len(truth) :]
    pairs, counts = np.unique(first * len(names) + second, return_counts=True)
    table: dict[str, dict[str, int]] = {}
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        table.setdefault(names[pair // len(names)], {})[names[pair % len(names)]] = count
    return folded(len(truth), int((first == second).sum()), table)


def both_of(one: Classes, other: Classes) -> Classes:
    """The two tables together."""
    table = {name: dict(row) for name, row in one.table.items()}
    for name, row in other.table.items():
        mine = table.setdefault(name, {})
        for called, count in row.items():
            mine[called] = mine.get(called, 0) + count
    return folded(one.count + other.count, one.correct + other.correct, table)


def folded(count: int, correct: int, table: dict[str, dict[str, int]]) -> Classes:
    """With at most MOST_CLASSES names, those with the smallest hashes; rows and columns in order."""
    names = {*table, *(called for row in table.values() for called in row)}
    kept = names if len(names) <= MOST_CLASSES else _kept(names)
    found: dict[str, dict[str, int]] = {}
    for name in sorted(table):
        row = found.setdefault(name if name in kept else "", {})
        for called, number in table[name].items():
            place = called if called in kept else ""
            row[place] = row.get(place, 0) + number
    return Classes(
        count=count, correct=correct, table={name: dict(sorted(found[name].items())) for name in sorted(found)}
    )


def _kept(names: Iterable[str]) -> set[str]:
    # "" stands for the folded ones: it is none of those that are kept.
    ordered = sorted((name for name in names if name), key=_hash)
    return set(ordered[: MOST_CLASSES - 1])


@lru_cache(maxsize=65_536)
def _hash(name: str) -> bytes:
    content = name.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=8).digest() + content

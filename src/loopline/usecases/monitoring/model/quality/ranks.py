"""How well groups of rows are ranked. Imports numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.tallies import Ranking

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NAMES = ("ndcg", "mrr", "map", "hit_rate")


def ranked(groups: Ints, predicted: Floats, truth: Floats, both: NDArray[np.bool_], top: int) -> Ranking:
    """The rankings of groups whose rows all have a prediction and truth.

    Truth above 0 is relevant, and its size is the gain of ndcg (linear, discount log2 of rank + 1: Järvelin and
    Kekäläinen, 2002). Rows with a negative number as group are in none. A group without anything relevant counts 0. Equal predictions are ranked as badly as possible.
    """
    if (groups < 0).any():
        there = groups >= 0
        groups, predicted, truth, both = groups[there], predicted[there], truth[there], both[there]
    if not len(groups):
        return Ranking(groups=0, complete=0, top=top, sums=(0.0,) * 4, squares=(0.0,) * 4)
    _, codes = np.unique(groups, return_inverse=True)
    whole = np.bincount(codes[~both], minlength=int(codes.max()) + 1) == 0
    kept = whole[codes]
    values = _values(codes[kept], predicted[kept], np.maximum(truth[kept], 0.0), top)
    complete = int(whole.sum())
    return Ranking(
        groups=len(whole),
        complete=complete,
        top=top,
        sums=tuple(float(value.sum()) for value in values),  # type: ignore[arg-type]
        squares=tuple(float(np.square(value).sum()) for value in values),  # type: ignore[arg-type]
    )


def _values(codes: Ints, predicted: Floats, gain: Floats, top: int) -> tuple[Floats, ...]:
    """(ndcg, mrr, map, hit_rate) of each group."""
    _, codes = np.unique(codes, return_inverse=True)
    count = int(codes.max(initial=-1)) + 1
    order = np.lexsort((gain, -predicted, codes))
    place = _places(codes[order])
    relevant = gain[order] > 0
    within = place < top

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(codes[order], np.where(within, values, 0.0), count), dtype=np.float64)

    reached = total(gain[order] / np.log2(place + 2))
    best = np.lexsort((-gain, codes))
    ideal = total(gain[best] / np.log2(place + 2))
    many = np.bincount(codes[order], weights=relevant, minlength=count)
    before = np.cumsum(relevant) - np.concatenate(([0.0], np.cumsum(many)[:-1]))[codes[order]] if count else relevant
    precision = total(relevant * before / (place + 1))
    first = total(np.where(relevant & (before == 1), 1 / (place + 1), 0.0))
    return (
        reached / np.where(ideal > 0, ideal, 1),
        first,
        precision / np.maximum(np.minimum(many, top), 1),
        (first > 0).astype(float),
    )


def _places(codes: Ints) -> Ints:
    """The rank from 0 within its group of each row, groups being together."""
    starts = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1]))) if len(codes) else codes
    lengths = np.diff(np.append(starts, len(codes)))
    return np.arange(len(codes)) - np.repeat(starts, lengths)

"""Joining ground truth to predictions: late, out of order, duplicated, corrected or for nothing we know.

Imports numpy: import this module only where truth is joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.arrays import NO_TIME, believed, floats_of, milliseconds

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Joined:
    """Truth per prediction, in the order of the predictions.

    `value`: the record received last, NaN where none or where it is a text; then it is the `label` (None for all when no
    truth is a text). `known_ms`: when truth first became known (event clock), NO_TIME
    where never. `records` were received in all; `duplicates` repeat the value that their target already had,
    `corrections` change it, `orphans` name no prediction that was logged. `matched`: which records, in the order of
    receipt, speak of a prediction that is there.
    """

    value: Floats
    known_ms: Ints
    records: int
    duplicates: int
    corrections: int
    orphans: int
    matched: NDArray[np.bool_]
    label: NDArray[Any] | None = None


def joined(predictions: pa.Table, truth: pa.Table, counted: bool = True) -> Joined:
    """Join by `prediction_id`, else by (`key`, `event_time`); the record with the highest `seq` wins.

    A record by key and time speaks of every prediction with both. Without `counted` nobody asks for duplicates and
    corrections, which are then 0. Columns as in the logs of predictions and truth.
    """
    truth = truth.sort_by("seq")
    value = floats_of(truth["value"])
    rows = len(truth)
    by_id = _valid(truth["prediction_id"])
    at = np.where(by_id, _positions(truth["prediction_id"], predictions["id"].combine_chunks()), -1)
    pairs, of_prediction = _pairs(predictions, truth)
    pairs = np.where(by_id, -1, pairs)
    first, last = _ends(at, len(predictions))
    first_pair, last_pair = _ends(pairs, int(max(of_prediction.max(initial=-1), pairs.max(initial=-1))) + 1)
    paired = of_prediction >= 0
    where = np.where(paired, of_prediction, 0)
    if len(last_pair):
        last = np.maximum(last, np.where(paired, last_pair[where], -1))
        first = np.minimum(first, np.where(paired, first_pair[where], rows))
    known = believed(milliseconds(truth["observed_at"]), milliseconds(truth["received_at"]))
    has = last >= 0
    duplicates, corrections = repeats(truth) if counted else (0, 0)
    matched = np.where(by_id, at >= 0, np.isin(pairs, of_prediction[paired]) & (pairs >= 0))
    return Joined(
        value=np.where(has, value[np.maximum(last, 0)], np.nan) if rows else np.full(len(predictions), np.nan),
        known_ms=np.where(has, known[np.minimum(first, rows - 1)], NO_TIME)
        if rows
        else np.full(len(predictions), NO_TIME),
        records=rows,
        duplicates=duplicates,
        corrections=corrections,
        orphans=int((~matched).sum()),
        matched=matched,
        label=_labels(truth, last) if "label" in truth.column_names and _valid(truth["label"]).any() else None,
    )


def _labels(truth: pa.Table, last: Ints) -> NDArray[Any]:
    """The text of the record received last, None where none or where it is a number."""
    texts = np.empty(len(truth) + 1, dtype=object)  # the last one stays None
    texts[:-1] = truth["label"].to_pylist()
    return texts[last]


def _valid(column: Any) -> NDArray[np.bool_]:
    return np.asarray(column.is_valid().to_numpy(), dtype=bool)


def _positions(wanted: Any, known: Any) -> Ints:
    """Where each wanted text stands among the known, -1 for nowhere."""
    import pyarrow.compute as pc

    found = pc.index_in(wanted, value_set=known, skip_nulls=True)
    return np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)


def _ends(targets: Ints, count: int) -> tuple[Ints, Ints]:
    """First and last record (in order of receipt) of each of `count` targets: (records, -1) where there is none."""
    rows = np.arange(len(targets))
    first, last = np.full(count, len(targets), dtype=np.int64), np.full(count, -1, dtype=np.int64)
    found = targets >= 0
    np.minimum.at(first, targets[found], rows[found])
    np.maximum.at(last, targets[found], rows[found])
    return first, last


def _pairs(predictions: pa.Table, truth: pa.Table) -> tuple[Ints, Ints]:
    """A number for each (key, event time), the same on both sides; -1 where either is empty."""
    known = predictions["key"].unique().drop_null()
    keys = _positions(truth["key"], known), _positions(predictions["key"], known)
    moments = milliseconds(truth["event_time"]), milliseconds(predictions["event_time"])
    times = np.unique(np.concatenate(moments))
    codes = [key * len(times) + np.searchsorted(times, moment) for key, moment in zip(keys, moments, strict=True)]
    whole = [(key >= 0) & (moment != NO_TIME) for key, moment in zip(keys, moments, strict=True)]
    _, dense = np.unique(np.concatenate(codes), return_inverse=True)
    split = len(codes[0])
    return np.where(whole[0], dense[:split], -1), np.where(whole[1], dense[split:], -1)


def repeats(truth: pa.Table, after: int = 0) -> tuple[int, int]:
    """(duplicates, corrections): records, in the order of receipt, whose target had a value before, the same one or
    another. Only those with seq > `after` are counted."""
    if not len(truth):
        return 0, 0
    by_id, value = _valid(truth["prediction_id"]), floats_of(truth["value"])
    said = _codes(truth["label"]) if "label" in truth.column_names else np.full(len(truth), -1, dtype=np.int64)
    names = _codes(truth["prediction_id"])
    keys, times = _codes(truth["key"]), milliseconds(truth["event_time"])
    target = np.where(by_id, names, -1), np.where(by_id, -1, keys), np.where(by_id, 0, times)
    order = np.lexsort((np.arange(len(truth)), *target))
    same = np.all([part[order][1:] == part[order][:-1] for part in target], axis=0)
    earlier, later = value[order][:-1], value[order][1:]
    equal = (earlier == later) | (np.isnan(earlier) & np.isnan(later))
    equal &= said[order][:-1] == said[order][1:]
    same &= np.asarray(truth["seq"].to_numpy())[order][1:] > after
    return int((same & equal).sum()), int((same & ~equal).sum())


def _codes(column: Any) -> Ints:
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)

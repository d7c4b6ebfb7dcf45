"""From rows to a Tally. Imports numpy: import it only where there are rows to tally."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.arrays import NO_TIME
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.quality import keys
from loopline.usecases.monitoring.model.quality.confusing import classes_of, written
from loopline.usecases.monitoring.model.quality.ranks import ranked
from loopline.usecases.monitoring.model.tallies import (
    BINS,
    NEVER_MS,
    Binary,
    Naive,
    Numbers,
    Ranking,
    Tally,
    asks_classes,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SURE = 1e-7


@dataclass(frozen=True)
class Rows:
    """Predictions beside their truth, one entry a row, as arrays of one length.

    `predicted`: numbers, NaN where there is none; `predicted_text`: classes, None where there is none (for a model that
    answers texts). `truth`: numbers, NaN where none has arrived; `labels`: truth that came as text, else None. `failed`:
    no prediction. `latency_us` may have NaN. `known_ms`: when truth first became known, NO_TIME where never. `groups`: what is
    ranked together, by number (negative: alone). `naive`: a forecast that the predictions should beat, NaN where there is none.
    """

    predicted: Floats
    truth: Floats
    failed: NDArray[np.bool_]
    latency_us: Floats
    event_ms: Ints
    known_ms: Ints
    predicted_text: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    groups: Ints | None = None
    naive: Floats | None = None

    def take(self, places: NDArray[Any] | slice) -> Rows:
        """Only these rows."""

        def of(values: NDArray[Any] | None) -> Any:
            return None if values is None else values[places]

        return Rows(**{name: of(getattr(self, name)) for name in self.__dataclass_fields__})


def texts(values: Sequence[str | None]) -> NDArray[Any]:
    """Texts as `Rows` holds them."""
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    return found


@np.errstate(all="ignore")  # what is beyond all numbers becomes infinite, and no metric
def tallied(rows: Rows, config: MonitorConfig) -> Tally:
    """The Tally of rows of one bucket and segment; `threshold`, `group` and `top` of the config matter.

    A row counts as labelled when its truth is a number or a text. Groups are those within these rows.
    """
    has, numbered = np.isfinite(rows.truth), np.isfinite(rows.predicted)
    said = np.zeros(len(has), dtype=bool) if rows.labels is None else rows.labels != np.array(None)
    both = has & numbered
    binary, numbers = _numeric(rows, both, config)
    known = rows.known_ms != NO_TIME
    return Tally(
        rows=len(has),
        labelled=int((has | said).sum()),
        failed=int(rows.failed.sum()),
        numbered=int(numbered.sum()),
        predicted=float(rows.predicted[numbered].sum()),
        called=int((rows.predicted > config.threshold).sum()),
        binary=binary,
        numbers=numbers,
        classes=classes_of(_answers(rows, config), rows.truth, rows.labels),
        ranking=_ranking(rows, both, config),
        naive=_naive(rows, both) if binary is not None else None,
        latency=keys.counted(keys.latency_keys(rows.latency_us[np.isfinite(rows.latency_us)])),
        delays=keys.counted(keys.delay_keys((rows.known_ms - rows.event_ms)[known])),
        last_event_ms=int(rows.event_ms.max(initial=NEVER_MS)),
        last_known_ms=int(rows.known_ms.max(initial=NEVER_MS)),
    )


def _answers(rows: Rows, config: MonitorConfig) -> NDArray[Any] | None:
    """The classes that were predicted, as texts."""
    if rows.predicted_text is not None or not asks_classes(config):
        return rows.predicted_text
    return written(np.where(rows.predicted == np.rint(rows.predicted), rows.predicted, np.nan))


def _numeric(rows: Rows, both: NDArray[np.bool_], config: MonitorConfig) -> tuple[Binary | None, Numbers | None]:
    if not both.any():
        return None, None
    whole = bool(both.all())
    truth, predicted = (rows.truth, rows.predicted) if whole else (rows.truth[both], rows.predicted[both])
    positive, decided = truth == 1, (truth == 1) | (truth == 0)
    other = len(truth) - int(decided.sum())
    numbers = _numbers(truth, predicted, other)
    if not other:
        return _binary(positive, predicted, config.threshold), numbers
    some = decided.any()
    return (_binary(positive[decided], predicted[decided], config.threshold) if some else None), numbers


def _binary(positive: NDArray[np.bool_], predicted: Floats, threshold: float) -> Binary:
    yes, no = np.log(predicted.clip(1e-300)), np.log1p(-predicted.clip(None, 1 - 1e-16))
    least = np.log(_SURE)  # what a sure mistake costs, and not everything
    most = np.log1p(-_SURE)
    losses = np.where(positive, yes, no).clip(least, most)
    codes = keys.score_keys(predicted, yes - no)
    shift, negatives, positives = keys.of_classes(codes, positive)
    called = predicted > threshold
    hits, alarms, misses = (int(part.sum()) for part in (called & positive, called & ~positive, ~called & positive))
    return Binary(
        shift=shift,
        negatives=negatives,
        positives=positives,
        true_positive=hits,
        false_positive=alarms,
        true_negative=len(positive) - hits - alarms - misses,
        false_negative=misses,
        log_loss=-float(losses.sum()),
        brier=float(np.square(predicted - positive).sum()),
        bins=_bins(positive, predicted),
    )


def _bins(positive: NDArray[np.bool_], predicted: Floats) -> tuple[tuple[int, float, int], ...]:
    place = np.clip(np.ceil(predicted * BINS) - 1, 0, BINS - 1).astype(np.int64)
    counts, sums = np.bincount(place, minlength=BINS), np.bincount(place, weights=predicted, minlength=BINS)
    hits = np.bincount(place[positive], minlength=BINS)
    return tuple(zip(counts.tolist(), sums.tolist(), hits.tolist(), strict=True))


def _numbers(truth: Floats, predicted: Floats, other: int) -> Numbers:
    error = predicted - truth
    squares = error * error
    mean = float(truth.mean())
    nonzero = truth != 0
    relative = np.abs(error[nonzero] / truth[nonzero])
    return Numbers(
        count=len(truth),
        other=other,
        truth_mean=mean,
        truth_spread=float(np.square(truth - mean).sum()),
        predicted=float(predicted.sum()),
        error=float(error.sum()),
        absolute=float(np.abs(error).sum()),
        squared=float(squares.sum()),
        fourth=float((squares * squares).sum()),
        nonzero=int(nonzero.sum()),
        relative=float(relative.sum()),
        relative_squared=float((relative * relative).sum()),
    )


def _naive(rows: Rows, both: NDArray[np.bool_]) -> Naive | None:
    if rows.naive is None:
        return None
    decided = both & ((rows.truth == 1) | (rows.truth == 0))
    naive, positive = rows.naive[decided], rows.truth[decided] == 1
    has = np.isfinite(naive)
    codes = keys.number_keys(np.where(has, naive, 0.0))
    shift, negatives, positives = keys.of_classes(codes[has], positive[has])
    return Naive(
        shift=shift,
        negatives=negatives,
        positives=positives,
        missing_negatives=int((~has & ~positive).sum()),
        missing_positives=int((~has & positive).sum()),
    )


def _ranking(rows: Rows, both: NDArray[np.bool_], config: MonitorConfig) -> Ranking | None:
    if rows.groups is None or not len(rows.groups):
        return None
    return ranked(rows.groups, rows.predicted, rows.truth, both, config.top)

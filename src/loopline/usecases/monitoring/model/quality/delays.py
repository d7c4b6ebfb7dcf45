"""How late truth comes, learned from predictions of which many still wait for it. Imports numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.quality import keys
from loopline.usecases.monitoring.model.tallies import Tally
from loopline.usecases.monitoring.model.windows import LabelDelay

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST_FOR_DELAY = 100
POINTS = 60


def label_delay(tallies: Mapping[int, Tally] | Sequence[Tally], watermark_ms: int) -> LabelDelay:
    """The curve of arrival, its quantiles, and the share of predictions that ever get truth.

    A prediction without truth is one that waits as long as it is old: it is censored at its age. The curve is the estimator of
    Kaplan and Meier (1958), and where it ends level is the share that ever comes (Maller and Zhou, 1992). All predictions are
    logged, so what has not arrived is counted; from arrivals alone one would have to divide by what could have been seen
    (right truncation: Lagakos, Barraj and De Gruttola 1988). Each bucket is watched until the age of its youngest row, and the
    curve goes as far as LEAST_FOR_DELAY predictions are watched; fewer show what there is, which reads too short.
    `settled` when LEAST_FOR_DELAY pieces of truth are of buckets watched longer than nearly the longest delay seen (its 0.999 quantile).
    """
    buckets = [one for one in (tallies.values() if isinstance(tallies, Mapping) else tallies) if one.rows]
    waits = [keys.unpacked(one.delays) for one in buckets]
    codes, counts = keys.summed(waits)
    if not len(codes):
        return LabelDelay()
    # Whole keys below that of the bucket's age are seen in full.
    ages = keys.delay_keys(np.array([watermark_ms - one.last_event_ms for one in buckets], dtype=np.int64))
    longest = codes[int(np.searchsorted(np.cumsum(counts), 0.999 * counts.sum()))]
    of_old = sum(int(numbers.sum()) for (_, numbers), age in zip(waits, ages, strict=True) if age >= longest)
    rows = np.array([one.rows for one in buckets], dtype=np.int64)
    points, shares = _curve(waits, rows, ages)
    if not len(points) or not shares[-1]:
        points, shares = codes, np.cumsum(counts) / rows.sum()
    return _told(points, shares, of_old >= LEAST_FOR_DELAY)


def _curve(waits: Sequence[tuple[Ints, Ints]], rows: Ints, ages: Ints) -> tuple[Ints, Floats]:
    """(keys of delays, share with truth by then), as far as enough rows are watched."""
    seen = [(codes[codes < age], counts[codes < age]) for (codes, counts), age in zip(waits, ages, strict=True)]
    codes, events = keys.summed(seen)
    left = rows - np.array([int(counts.sum()) for _, counts in seen], dtype=np.int64)
    order = np.argsort(ages)
    gone = np.concatenate(([0], np.cumsum(left[order])))[np.searchsorted(ages[order], codes, side="right")]
    unseen = np.concatenate(([0], np.cumsum(rows[order])))[np.searchsorted(ages[order], codes, side="right")]
    waiting = rows.sum() - gone - np.concatenate(([0], np.cumsum(events)[:-1]))
    enough = rows.sum() - unseen >= LEAST_FOR_DELAY
    still = np.cumprod(1 - events[enough] / np.maximum(waiting[enough], 1))
    return codes[enough], 1 - still


def _told(points: Ints, shares: Floats, settled: bool) -> LabelDelay:
    hours, final = keys.delay_hours(points), float(shares[-1])
    p50, p90, p99 = (float(hours[int(np.searchsorted(shares, level * final))]) for level in (0.5, 0.9, 0.99))
    picked = np.unique(np.searchsorted(shares, np.linspace(shares[0], final, POINTS)))
    return LabelDelay(
        p50_hours=p50,
        p90_hours=p90,
        p99_hours=p99,
        expected_share=final,
        settled=settled,
        hours=tuple(np.round(hours[picked], 4).tolist()),
        shares=tuple(np.round(shares[picked], 6).tolist()),
    )

"""How often what was predicted came true. Imports numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.quality import curves, tables
from loopline.usecases.monitoring.model.quality.results import Bin, Estimate
from loopline.usecases.monitoring.model.quality.scoring import Score, error_of, interval, reach
from loopline.usecases.monitoring.model.tallies import Tally, of_one_kind


@np.errstate(all="ignore")
def calibrated(tallies: Mapping[int, Tally], parts: int, confidence: float = 0.95) -> tuple[list[Bin], Estimate | None]:
    """(bins, expected calibration error) of rows with truth of 0 and 1; ([], None) without any.

    Bins hold about as many rows each, ordered by score (so that they tell something of rare events, too); the expected calibration
    error is over ten equal parts of 0 to 1. Intervals have days as blocks when there are five, else rows.
    """
    tallies = dict(zip(tallies, of_one_kind(list(tallies.values())), strict=True))
    starts = sorted(start for start, tally in tallies.items() if tally.binary is not None)
    if not starts:
        return [], None
    binary = [tallies[start].binary for start in starts]
    days = np.array(starts, dtype=np.int64) // DAY_MS

    def told(score: Score) -> Estimate:
        error, degrees, _ = error_of(score, days)
        span = interval(score, error, reach(confidence, degrees)) if degrees else None
        return Estimate(value=score.value, low=span[0] if span else None, high=span[1] if span else None)

    bins = []
    for score, mean in curves.by_score(curves.spread(binary), parts):
        found = told(replace(score, fewest=float(score.counts.sum()), share=True))
        bins.append(
            Bin(rows=int(score.counts.sum()), predicted=mean, observed=found.value, low=found.low, high=found.high)
        )
    return bins, told(tables.calibration_error(binary))

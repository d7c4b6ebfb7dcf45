"""Intervals that hold however often one looks. Imports numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from loopline.core.times import from_ms
from loopline.kit.always_valid import boundary
from loopline.kit.student import t_quantile
from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.quality.measuring import scores_of
from loopline.usecases.monitoring.model.quality.results import LookAt
from loopline.usecases.monitoring.model.quality.scoring import Score, error_of, interval
from loopline.usecases.monitoring.model.tallies import Tally

TIGHTEST_AT = 30  # days


@np.errstate(all="ignore")
def course(
    tallies: Mapping[int, Tally], metric: str, config: MonitorConfig, most: int, confidence: float = 0.95
) -> list[LookAt]:
    """The metric of all days so far, as it stood at the end of each day (of `most` of them, evenly spread, and the last)."""
    starts = sorted(start for start, tally in tallies.items() if tally.rows)
    days = np.array(starts, dtype=np.int64) // DAY_MS
    ends = np.flatnonzero(np.diff(days, append=days[-1:] + 1)) + 1
    found = []
    for end in ends[np.unique(np.linspace(0, len(ends) - 1, most).astype(int))] if len(ends) else ends:
        scores = scores_of([tallies[start] for start in starts[:end]], config)
        score = next((one for one in scores if one.name == metric), None)
        if score is not None and math.isfinite(score.value):
            low, high = any_time(score, days[:end], confidence) or (None, None)
            day = from_ms(int(days[end - 1]) * DAY_MS)[:10]
            labelled = sum(tallies[start].labelled for start in starts[:end])
            found.append(LookAt(day=day, labelled=labelled, value=score.value, low=low, high=high))
    return found


@np.errstate(all="ignore")
def measured_any(tallies: Mapping[int, Tally], config: MonitorConfig, confidence: float = 0.95) -> dict[str, float]:
    """`<metric>_low_any` and `<metric>_high_any` of every metric that applies, once at least five days have truth.

    Looking at them after each day, from any first day on, all of them cover the true value with about `confidence`, while of
    plain intervals one would miss sooner or later. A day is one observation: the asymptotic confidence sequence of
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Annals of Statistics, 2024) over the days' influences, widened to Student's t
    with the same tail, because few days tell their own spread badly.
    """
    starts = sorted(start for start, tally in tallies.items() if tally.rows)
    days = np.array(starts, dtype=np.int64) // DAY_MS
    found: dict[str, float] = {}
    for score in scores_of([tallies[start] for start in starts], config) if starts else ():
        span = any_time(score, days, confidence)
        if span is not None:
            found |= {f"{score.name}_low_any": span[0], f"{score.name}_high_any": span[1]}
    return found


def any_time(score: Score, days: NDArray[np.int64], confidence: float = 0.95) -> tuple[float, float] | None:
    """The interval of one metric that holds at every look; None before there are days enough."""
    error, degrees, blocks = error_of(score, days)
    if not blocks or len(np.unique(days[score.counts > 0])) != blocks or not math.isfinite(error):
        return None
    times = float(boundary(np.array([float(blocks)]), 1 - confidence, TIGHTEST_AT)[0])
    tail = max(math.erfc(times / math.sqrt(2)) / 2, 1e-12)
    return interval(score, error, t_quantile(1 - tail, degrees))

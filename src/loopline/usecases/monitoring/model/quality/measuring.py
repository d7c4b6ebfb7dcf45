"""From tallies to metrics with intervals. Imports numpy: import it only where windows are made or shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.quality import curves, keys, tables
from loopline.usecases.monitoring.model.quality.ranks import NAMES
from loopline.usecases.monitoring.model.quality.scoring import Score, error_of, interval, ratio, reach
from loopline.usecases.monitoring.model.tallies import Numbers, Tally, asks_classes, asks_numbers, of_one_kind

Floats = NDArray[np.float64]


@np.errstate(all="ignore")  # what cannot be computed is left out
def measured(tallies: Mapping[int, Tally], config: MonitorConfig, confidence: float = 0.95) -> dict[str, float]:
    """Every metric that applies to these rows, by name, with `<metric>_low` and `<metric>_high` where an interval can be told.

    `tallies` by start of their bucket (milliseconds since 1970, UTC; an hour or a day). Blocks of the intervals are days when
    at least five have truth, else rows. Truth of 0 and 1 gives auc, log_loss …, other numbers mae, mse …, texts accuracy, macro_f1 …,
    groups ndcg …. Values that do not exist (one class only) are left out. Beside them predicted_mean, predicted_mean_labelled,
    label_mean, latency_p50_ms, latency_p99_ms and error_share.
    """
    starts = sorted(start for start, tally in tallies.items() if tally.rows)
    buckets = [tallies[start] for start in starts]
    if not buckets:
        return {}
    days = np.array(starts, dtype=np.int64) // DAY_MS
    found = _plain(buckets)
    for score in scores_of(buckets, config):
        found[score.name] = score.value
        error, degrees, _ = error_of(score, days)
        span = interval(score, error, reach(confidence, degrees)) if degrees else None
        if span is not None:
            found |= {f"{score.name}_low": span[0], f"{score.name}_high": span[1]}
    found |= _lead(buckets, days, confidence)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def scores_of(buckets: Sequence[Tally], config: MonitorConfig) -> Iterator[Score]:
    """Each metric that applies, with what every bucket adds to it."""
    buckets = of_one_kind(buckets)
    numbers = [bucket.numbers for bucket in buckets]
    if any(one is not None for one in numbers):
        other = any(one is not None and one.other for one in numbers)
        if other or asks_numbers(config):
            yield from _regression(numbers)
        if not other:
            yield from _binary(buckets, config)
            if asks_classes(config) and not any(bucket.classes is not None for bucket in buckets):
                yield from tables.both_classes(tables.confusion([bucket.binary for bucket in buckets]))
    if any(bucket.classes is not None for bucket in buckets):
        yield from tables.classified([bucket.classes for bucket in buckets], config.costs)
    yield from _ranking(buckets)


def _binary(buckets: Sequence[Tally], config: MonitorConfig) -> Iterator[Score]:
    binary = [bucket.binary for bucket in buckets]
    found = curves.spread(binary)
    for score in (curves.area(found), curves.average_precision(found)):
        if score is not None:
            yield score
    yield from curves.losses(found, binary)
    yield from tables.decided(tables.confusion(binary), config.costs)
    yield tables.calibration_error(binary)


def _regression(buckets: Sequence[Numbers | None]) -> Iterator[Score]:
    def of(name: str) -> Floats:
        return np.array([0.0 if one is None else float(getattr(one, name)) for one in buckets])

    counts, squared = of("count"), of("squared")
    yield ratio("mae", of("absolute"), counts, float(squared.sum()))
    mse = ratio("mse", squared, counts, float(of("fourth").sum()))
    yield mse
    root = math.sqrt(mse.value)
    if root:
        yield Score("rmse", root, mse.blocks / (2 * root), counts, mse.squares / (4 * mse.value))
    else:
        yield Score("rmse", 0.0, mse.blocks, counts, 0.0)
    yield ratio("bias", of("error"), counts, float(squared.sum()))
    if of("nonzero").any():
        yield ratio("mape", of("relative"), of("nonzero"), float(of("relative_squared").sum()))
    yield from _explained(of("truth_mean"), of("truth_spread"), counts, squared)


def _explained(means: Floats, spreads: Floats, counts: Floats, squared: Floats) -> Iterator[Score]:
    centre = float(means @ counts / counts.sum())
    spread = spreads + counts * (means - centre) ** 2
    whole = float(spread.sum())
    if whole:
        value = 1 - float(squared.sum()) / whole
        yield Score("r2", value, ((1 - value) * spread - squared) / whole, counts)


def _ranking(buckets: Sequence[Tally]) -> Iterator[Score]:
    rankings = [bucket.ranking for bucket in buckets]
    complete = np.array([0.0 if one is None else float(one.complete) for one in rankings])
    for place, name in enumerate(NAMES if complete.any() else ()):
        sums = np.array([0.0 if one is None else one.sums[place] for one in rankings])
        squares = sum(0.0 if one is None else one.squares[place] for one in rankings)
        yield ratio(name, sums, complete, squares)


def _lead(buckets: Sequence[Tally], days: NDArray[np.int64], confidence: float) -> dict[str, float]:
    """The AUC less that of the naive forecast on the same rows. Over days the difference of both totals is paired; with fewer
    than five the two standard errors are added, which is never too narrow."""
    buckets = of_one_kind(buckets)
    if not any(bucket.naive for bucket in buckets) or any(
        bucket.numbers and bucket.numbers.other for bucket in buckets
    ):
        return {}
    ours = curves.area(curves.spread([bucket.binary for bucket in buckets]))
    theirs = curves.area(curves.spread([bucket.naive for bucket in buckets], fill=True))
    if ours is None or theirs is None or not np.array_equal(ours.counts, theirs.counts):
        return {}
    value = ours.value - theirs.value
    paired = Score(
        "lead", value, ours.blocks - theirs.blocks, ours.counts, (ours.squares**0.5 + theirs.squares**0.5) ** 2
    )
    error, degrees, _ = error_of(paired, days)
    span = interval(paired, error, reach(confidence, degrees)) if degrees else None
    return {"lead": value} | ({} if span is None else {"lead_low": span[0], "lead_high": span[1]})


def _plain(buckets: Sequence[Tally]) -> dict[str, float]:
    """What has no interval."""
    rows, numbered = sum(bucket.rows for bucket in buckets), sum(bucket.numbered for bucket in buckets)
    found = {"error_share": sum(bucket.failed for bucket in buckets) / rows}
    if numbered:
        found["predicted_mean"] = sum(bucket.predicted for bucket in buckets) / numbered
    numbers = [bucket.numbers for bucket in buckets if bucket.numbers is not None]
    count = sum(one.count for one in numbers)
    if count:
        found["predicted_mean_labelled"] = sum(one.predicted for one in numbers) / count
        found["label_mean"] = sum(one.truth_mean * one.count for one in numbers) / count
    return found | _latency(buckets)


def _latency(buckets: Sequence[Tally]) -> dict[str, float]:
    codes, counts = keys.summed(keys.unpacked(bucket.latency) for bucket in buckets)
    if not len(codes):
        return {}
    running = np.cumsum(counts)
    places = [int(np.searchsorted(running, np.ceil(level * running[-1]))) for level in (0.5, 0.99)]
    p50, p99 = keys.latency_ms(codes[places])
    return {"latency_p50_ms": float(p50), "latency_p99_ms": float(p99)}

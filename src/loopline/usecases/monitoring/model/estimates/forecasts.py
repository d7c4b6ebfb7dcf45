"""What the methods say of one window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from loopline.usecases.monitoring.model.estimates.rows import Floats, Rows

HOURS = {"hour": 1.0, "day": 6.0, "week": 24.0, "month": 24.0}
LEAST_LEARN, MOST_LEARN, LEAST_OF_CLASS, MOST_BUCKETS = 200, 30_000, 20, 400
DRAWS, MOST_DRAWN = 40, 20_000


@dataclass(frozen=True)
class Asked:
    """What is to be said: which metrics, and what they need."""

    metrics: tuple[str, ...]
    threshold: float = 0.5
    costs: Mapping[str, float] = field(default_factory=dict)
    naive: str = ""


@dataclass(frozen=True)
class Forecast:
    """`values[metric][method]`, the standard deviation of what may come by `spreads[metric]`, rows and the share of them
    whose truth has arrived, and what one must know beside it."""

    values: dict[str, dict[str, float]]
    spreads: dict[str, float]
    rows: int
    share: float
    warnings: tuple[str, ...] = ()


def bucket_ms(period: str, first_ms: int, last_ms: int) -> int:
    """How long the buckets are in which the level may differ: hours of an hour, quarters of a day, days of a week or
    month; longer where there would be more than MOST_BUCKETS."""
    length = int(HOURS[period] * 3_600_000)
    while (last_ms - first_ms) / length > MOST_BUCKETS:
        length *= 2
    return length


def learning_rows(history: Rows, as_of_ms: int, delay_ms: int) -> Rows:
    """The rows that are older than the label delay and have their truth; at most MOST_LEARN, evenly over time (the newest
    alone knew too few kinds of weather: errors were a tenth larger on flights)."""
    places = np.flatnonzero(history.known(as_of_ms) & (history.event_ms <= as_of_ms - delay_ms))
    if len(places) > MOST_LEARN:
        places = places[np.linspace(0, len(places) - 1, MOST_LEARN).astype(np.int64)]
    return history.where(places)


def drawn(rows: Rows) -> Rows:
    """At most MOST_DRAWN rows, evenly chosen, for what is computed many times."""
    if len(rows) <= MOST_DRAWN:
        return rows
    return rows.where(np.linspace(0, len(rows) - 1, MOST_DRAWN).astype(np.int64))


def spread_of(values: Floats) -> float:
    """Standard deviation of the finite values, 0 with fewer than two."""
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else 0.0

"""From rows to the segments that a change comes from. Imports numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from loopline.usecases.monitoring.model.blame.rows import Flags, Rows, goes_with_time
from loopline.usecases.monitoring.model.blame.search import Found, bounds_of, segment
from loopline.usecases.monitoring.model.blame.shares import Share, measured, shares

MOST_SEGMENTS = 5
LEAST_SHARE, HALF = 0.03, 0.5


@dataclass(frozen=True)
class Explained:
    """`change` = the wholes of `shares` + `rest` (what no segment explains)."""

    change: float
    means: tuple[float, float]
    segments: list[tuple[Found, Flags, Share]]
    rest: float
    threshold: float


def explained(rows: Rows, seed: int = 0, value_of: Callable[[Flags], float] | None = None) -> Explained:
    """Segments one after the other, each among the rows that those before it left, as long as one stands out of chance.

    `value_of` some rows is the metric over them, for one that is no mean over rows.
    """
    rows = replace(
        rows,
        columns=tuple(one for one in rows.columns if one.name in rows.declared or not goes_with_time(one, rows.block)),
    )
    then, now = float(rows.value[~rows.now].mean()), float(rows.value[rows.now].mean())
    change, bounds = now - then, bounds_of(rows, seed)
    left, found, flags = np.ones(len(rows.value), dtype=bool), list[Found](), list[Flags]()
    for _ in range(MOST_SEGMENTS):
        one = segment(rows.at(left), bounds, 1.0 if change >= 0 else -1.0)
        if one is None:
            break
        chosen = np.zeros(len(left), dtype=bool)
        chosen[np.flatnonzero(left)] = one.rows()
        step = _step(rows, left, chosen)
        if abs(step) < LEAST_SHARE * abs(change) or not _holds(step, left, chosen, rows.now, value_of):
            break
        found, flags, left = [*found, one], [*flags, chosen], left & ~chosen
    parts, rest = shares(rows.value, rows.now, flags)
    if value_of is not None and flags:
        parts, rest = measured(parts, flags, rows.now, value_of) or (parts, rest)
    named = sorted(zip(found, flags, parts, strict=True), key=lambda entry: -abs(entry[2].whole))
    return Explained(change, (then, now), named, rest, bounds.found)


def _holds(step: float, left: Flags, chosen: Flags, now: Flags, value_of: Callable[[Flags], float] | None) -> bool:
    """Whether a metric that is no mean over rows really changes by about so much less without the segment: leaving out all
    easy rows changes an AUC by itself."""
    if value_of is None:
        return True
    whole, rest = (value_of(rows & now) - value_of(rows & ~now) for rows in (left, left & ~chosen))
    return bool(np.isfinite(whole - rest) and HALF * abs(step) <= (whole - rest) * np.sign(step) <= abs(step) / HALF)


def _step(rows: Rows, left: Flags, chosen: Flags) -> float:
    (share,), _ = shares(rows.value[left], rows.now[left], [chosen[left]])
    return share.whole

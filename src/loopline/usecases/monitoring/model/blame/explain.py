"""From rows to the segments that a change comes from. Imports numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loopline.usecases.monitoring.model.blame.rows import Flags, Rows
from loopline.usecases.monitoring.model.blame.search import Found, segment, threshold
from loopline.usecases.monitoring.model.blame.shares import Share, measured, shares

MOST_SEGMENTS = 5
LEAST_SHARE = 0.03


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
    then, now = float(rows.value[~rows.now].mean()), float(rows.value[rows.now].mean())
    change, bound = now - then, threshold(rows, seed)
    left, found, flags = np.ones(len(rows.value), dtype=bool), list[Found](), list[Flags]()
    for _ in range(MOST_SEGMENTS):
        one = segment(rows.at(left), bound, 1.0 if change >= 0 else -1.0)
        if one is None:
            break
        chosen = np.zeros(len(left), dtype=bool)
        chosen[np.flatnonzero(left)] = one.rows()
        step = _step(rows, left, chosen)
        if abs(step) < LEAST_SHARE * abs(change):
            break
        found, flags, left = [*found, one], [*flags, chosen], left & ~chosen
    parts, rest = shares(rows.value, rows.now, flags)
    if value_of is not None and flags:
        parts, rest = measured(parts, flags, rows.now, value_of) or (parts, rest)
    named = sorted(zip(found, flags, parts, strict=True), key=lambda entry: -abs(entry[2].whole))
    return Explained(change, (then, now), named, rest, bound)


def _step(rows: Rows, left: Flags, chosen: Flags) -> float:
    (share,), _ = shares(rows.value[left], rows.now[left], [chosen[left]])
    return share.whole

"""Where an estimate cannot know: what it says then beside its number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.estimates.levels import Sizes, posterior
from loopline.usecases.monitoring.model.estimates.rows import Floats, Rows, Words

SURPRISE, OUTSIDE_SHARE, BEYOND = 3.5, 0.05, 0.001
WORDS = {
    "level": "the truth that has arrived is {more} often 1 than score and inputs lead to expect",
    "slope": "the truth that has arrived follows the score {more} than it did",
    "error": "the errors that have arrived are {more} than inputs lead to expect",
}

MORE = {"level": ("more", "less"), "slope": ("better", "worse"), "error": ("larger", "smaller")}


def contradicted(
    kind: str, at: Floats, mean: Floats, variance: Floats, sizes: Sizes, mature: NDArray[np.bool_],
    now: NDArray[np.bool_],
) -> str:  # fmt: skip
    """A warning when the labels of the buckets `now` lie further from what the mature buckets lead to expect than levels
    wander by themselves (SURPRISE standard deviations); '' else."""
    now = now & ~mature
    if not now.any() or mature.sum() < 3:
        return ""
    level = posterior(at[mature], mean[mature], variance[mature], at[now], sizes)
    weights = 1 / variance[now] / (1 / variance[now]).sum()
    difference = float(weights @ (mean[now] - level.mean))
    error = float(weights @ (level.covariance + np.diag(variance[now])) @ weights) ** 0.5
    if abs(difference) < SURPRISE * error:
        return ""
    words = WORDS[kind].format(more=MORE[kind][0 if difference > 0 else 1])
    size = abs(difference) / error
    return f"{words} ({size:.1f} standard deviations): what inputs mean for the truth may have changed (concept drift)"


def outside(learned: Rows, rows: Rows) -> Iterator[str]:
    """Warnings for scores and inputs of which many lie where no row with mature truth was."""
    share = _beyond(learned.score, rows.score)
    if share > OUTSIDE_SHARE:
        yield f"{100 * share:.0f} % of the scores lie outside those that calibration was learned on"
    found = {name: _beyond(learned.numbers[name], values) for name, values in rows.numbers.items()}
    found |= {name: _unseen(learned.texts[name], values) for name, values in rows.texts.items()}
    names = sorted((name for name, part in found.items() if part > OUTSIDE_SHARE), key=lambda name: -found[name])
    if names:
        parts = ", ".join(f"{name} ({100 * found[name]:.0f} % of rows)" for name in names[:3])
        more = f" and {len(names) - 3} more inputs" if len(names) > 3 else ""
        yield f"{parts}{more} lie outside what calibration was learned on"


def _beyond(before: Floats, now: Floats) -> float:
    finite = before[np.isfinite(before)]
    if not len(finite):
        return float(np.isfinite(now).mean()) if len(now) else 0.0
    low, high = np.quantile(finite, [BEYOND, 1 - BEYOND])
    return float(((now < low) | (now > high)).mean()) if len(now) else 0.0


def _unseen(before: Words, now: Words) -> float:
    known, found = before.counts(), now.counts()
    return sum(count for name, count in found.items() if name not in known) / max(len(now.codes), 1)

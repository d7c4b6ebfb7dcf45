"""The limits that keep a budget of false alarms and tell soonest of a drop. Imports numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loopline.core.performance import LOSSES
from loopline.usecases.monitoring.model.budget.results import Option
from loopline.usecases.monitoring.model.budget.simulating import (
    Floats,
    History,
    Quarters,
    alarms,
    delays,
    fitted,
    simulated,
)

LEAST_WINDOWS = 8
DROP = 2.0  # in spreads of a window: what limits are compared by
STRICTEST, STEPS = 8.0, (0.8, 0.2, 0.05)
LEAST_LEFT = 0.1  # of the budget, for limits that are chosen, however often the written ones fire
LAW = (
    "the more cautious of windows drawn in blocks (stationary bootstrap, smoothed) and a fitted normal autoregression, "
    "both with the uncertainty that so many windows leave about level and spread"
)


@dataclass(frozen=True)
class Past:
    """Windows in order: the metrics of those that limits are sought for, the version that each was judged by, and by
    cause whether other rules called it wrong."""

    values: Mapping[str, Sequence[float]]
    versions: Sequence[str]
    wrong: Mapping[str, Sequence[bool]]
    live: str
    quarter: float


@dataclass(frozen=True)
class Levels:
    """Level and spread by metric, in its units."""

    level: dict[str, float]
    spread: dict[str, float]


@dataclass(frozen=True)
class Weighed:
    """The options, quickest first, with what other causes cost; `crowded` where those use the budget up alone."""

    options: tuple[Option, ...]
    levels: Levels
    by_cause: dict[str, float]
    crowded: bool


def weighed(past: Past, per_quarter: float, consecutive: Sequence[int] = (1, 2, 3), seed: int = 0) -> Weighed:
    """Every way to keep the budget. `past` must have LEAST_WINDOWS windows or more."""
    residuals, levels = _residuals(past)
    others = np.stack([np.asarray(flags, dtype=bool) for flags in past.wrong.values()], axis=1) if past.wrong else None
    kept = np.zeros((len(past.versions), 0), dtype=bool) if others is None else others
    history = History(residuals, kept, past.quarter)
    laws = (simulated(history, seed), fitted(history, seed))
    found = [_option(past, levels, laws, many, per_quarter) for many in consecutive]
    options = tuple(sorted((one for one, _, _ in found), key=lambda one: (round(one.delay, 2), one.consecutive)))
    best = next(entry for entry in found if entry[0] is options[0])
    return Weighed(options, levels, best[1], best[2])


def _residuals(past: Past) -> tuple[Floats, Levels]:
    """Around the mean of each version's own windows, in spreads, worse below; the level is that of the live one where it
    has enough windows."""
    names = np.asarray(past.versions)
    columns, level, spread = [], {}, {}
    for metric, values in past.values.items():
        series = np.asarray(values, dtype=float)
        around = np.empty(len(series))
        for version in np.unique(names):
            mine = names == version
            held = int(mine.sum())
            around[mine] = (series[mine] - series[mine].mean()) * (np.sqrt(held / (held - 1)) if held > 1 else 0.0)
        mine = names == past.live
        level[metric] = float(series[mine].mean() if mine.sum() >= LEAST_WINDOWS else series.mean())
        spread[metric] = max(float(np.sqrt((around**2).mean())), 1e-9)
        columns.append((-1.0 if metric in LOSSES else 1.0) * around / spread[metric])
    return np.stack(columns, axis=1), Levels(level, spread)


def _option(
    past: Past, levels: Levels, laws: tuple[Quarters, Quarters], consecutive: int, per_quarter: float
) -> tuple[Option, dict[str, float], bool]:
    quarters = laws[0]
    by_cause = {
        cause: float(alarms(quarters.others[:, :, place], consecutive).mean() / quarters.length)
        for place, cause in enumerate(past.wrong)
    }
    left = per_quarter - sum(by_cause.values())
    crowded = left < LEAST_LEFT * per_quarter
    strictness, expected = _strictness(laws, consecutive, max(left, LEAST_LEFT * per_quarter))
    worst = quarters.residuals.min(axis=2)
    late = delays(worst - DROP < -strictness, consecutive)
    limits = {
        metric: levels.level[metric] + (1 if metric in LOSSES else -1) * strictness * levels.spread[metric]
        for metric in past.values
    }
    option = Option(
        consecutive=consecutive,
        limits=limits,
        expected=expected + sum(by_cause.values()),
        delay=float(late.mean()),
    )
    return option, by_cause | {"performance": expected}, crowded


def _strictness(laws: tuple[Quarters, Quarters], consecutive: int, budget: float) -> tuple[float, float]:
    """How many spreads below its level a metric must fall, as few as the budget allows under each law, and the alarms that
    costs."""
    worst = [law.residuals.min(axis=2) for law in laws]

    def cost(strictness: float) -> float:
        return float(
            max(alarms(w < -strictness, consecutive).mean() / law.length for w, law in zip(worst, laws, strict=True))
        )

    # From far above downwards, as alarms grow, first in wide steps and then in narrow ones.
    last = (STRICTEST, 0.0)
    for step in STEPS:
        for strictness in np.arange(last[0] - step, -1e-9, -step):
            expected = cost(float(strictness))
            if expected > budget:
                break
            last = (float(strictness), expected)
    return last

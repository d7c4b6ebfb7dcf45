"""Quarters as they might have been, drawn from the windows that were. Imports numpy.

Windows are drawn in blocks of random length (Politis and Romano, The stationary bootstrap, 1994), so that a bad day is
followed by what followed bad days, and whole windows are drawn, so that metrics and causes keep their dependence. Each draw is
smoothed (Silverman and Young, The bootstrap: to smooth or not to smooth?, 1987), for a limit may lie beyond the worst
window that was, and has a level and a spread of its own, as far as so many windows leave them uncertain (Student). Beside
it stands a fitted law: normal residuals that remember the window before (an autoregression), equally uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
QUARTERS = 1000
LONGEST = 400


@dataclass(frozen=True)
class History:
    """n windows in order: residuals of m metrics around their level (worse is lower, in units of their spread), and
    whether each of c other causes was wrong. `quarter` is how many windows a quarter has."""

    residuals: Floats
    others: Flags
    quarter: float


@dataclass(frozen=True)
class Quarters:
    """Simulated stretches: residuals (S, L, m), other causes (S, L, c), and how many quarters one stretch is."""

    residuals: Floats
    others: Flags
    length: float


def simulated(history: History, seed: int = 0, count: int = QUARTERS) -> Quarters:
    """`count` stretches of a quarter (at most LONGEST windows)."""
    rng = np.random.default_rng(seed)
    windows = len(history.residuals)
    length = int(np.clip(round(history.quarter), 3, LONGEST))
    draws = count if length <= 50 else max(count // 3, 200)
    chosen = _blocks(rng, windows, draws, length, block_length(windows, history.quarter))
    found = history.residuals[chosen]
    width = windows ** (-1 / 5)
    found = (found + width * rng.normal(size=found.shape)) / np.sqrt(1 + width**2)
    others = history.others[chosen]
    return Quarters(_uncertain(rng, found, history.residuals), others, length / history.quarter)


def fitted(history: History, seed: int = 0, count: int = QUARTERS) -> Quarters:
    """The same from the fitted law; other causes as they were drawn are not in it."""
    rng = np.random.default_rng(seed + 1)
    metrics = history.residuals.shape[1]
    length = int(np.clip(round(history.quarter), 3, LONGEST))
    draws = count if length <= 50 else max(count // 3, 200)
    memory = correlation(history.residuals)
    together = np.atleast_2d(np.corrcoef(history.residuals, rowvar=False)) if metrics > 1 else np.eye(1)
    values, vectors = np.linalg.eigh(np.nan_to_num(together))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    found = rng.normal(size=(draws, length, metrics)) @ root.T
    for place in range(1, length):
        found[:, place] = memory * found[:, place - 1] + np.sqrt(1 - memory**2) * found[:, place]
    none = np.zeros((draws, length, 0), dtype=bool)
    return Quarters(_uncertain(rng, found, history.residuals), none, length / history.quarter)


def _uncertain(rng: np.random.Generator, found: Floats, residuals: Floats) -> Floats:
    """Each stretch with a level and a spread of its own."""
    draws, _, metrics = found.shape
    free = max(effective(residuals) - 1, 2.0)
    spread = np.sqrt(free / rng.chisquare(free, size=(draws, 1, 1)))
    level = rng.normal(size=(draws, 1, metrics)) / np.sqrt(free + 1)
    return np.asarray(spread * (found + level))


def block_length(windows: int, quarter: float) -> float:
    """The mean length of blocks: the cube root of the number of windows, and a whole week where windows are days."""
    least = 7.0 if quarter > 60 and windows >= 28 else 1.0
    return max(float(np.cbrt(windows)), least)


def effective(residuals: Floats) -> float:
    """As how many independent windows they count: n (1 - r) / (1 + r) for a correlation r between neighbours."""
    near = correlation(residuals)
    return float(max(len(residuals) * (1 - near) / (1 + near), min(len(residuals), 3.0)))


def correlation(residuals: Floats) -> float:
    """Between neighbouring windows, the mean over metrics; 0 to 0.9."""
    if len(residuals) < 4:
        return 0.0
    centred = residuals - residuals.mean(axis=0)
    power = (centred**2).sum(axis=0)
    near = (centred[1:] * centred[:-1]).sum(axis=0) / np.where(power > 0, power, 1)
    return float(np.clip(near.mean() if len(near) else 0.0, 0.0, 0.9))


def _blocks(rng: np.random.Generator, windows: int, draws: int, length: int, mean: float) -> NDArray[np.int64]:
    """(draws, length) places: each goes on to the next one, or begins anew with chance 1 / mean."""
    fresh = rng.random((draws, length)) < 1 / mean
    fresh[:, 0] = True
    starts = rng.integers(0, windows, (draws, length))
    steps = np.arange(length)
    begun = np.maximum.accumulate(np.where(fresh, steps, 0), axis=1)
    return np.asarray((np.take_along_axis(starts, begun, axis=1) + steps - begun) % windows, dtype=np.int64)


def alarms(wrong: Flags, consecutive: int) -> Floats:
    """(S,) alerts opened in each of S stretches of L windows: how often `consecutive` wrong ones in a row are reached."""
    return np.asarray(_reached(wrong, consecutive).sum(axis=1), dtype=float)


def delays(wrong: Flags, consecutive: int) -> Floats:
    """(S,) windows until the first alert (1: in the first window); L + 1 where none comes."""
    reached = _reached(wrong, consecutive)
    return np.asarray(np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, wrong.shape[1] + 1.0))


def _reached(wrong: Flags, consecutive: int) -> Flags:
    """Where a run of wrong windows has just become `consecutive` long."""
    length = wrong.shape[1]
    padded = np.zeros((wrong.shape[0], length + consecutive), dtype=bool)
    padded[:, consecutive:] = wrong
    row = np.ones_like(wrong)
    for back in range(consecutive):
        row &= padded[:, consecutive - back : consecutive - back + length]
    return np.asarray(row & ~padded[:, :length])

"""A column's change in plain words and units. Imports numpy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopline.kit.tails import normal_quantile
from loopline.usecases.monitoring.model.cells import cell_values, unpacked
from loopline.usecases.monitoring.model.drifts.statistics import aligned, aligned_values, quantiles
from loopline.usecases.monitoring.model.profile import CategoricalColumn, NumericColumn, ProfiledColumn

BINS = 20
EXTREME = 10.8
LOCATION = frozenset({"rank_mean", "ks", "chi_square", "wasserstein"})


class Effect(NamedTuple):
    """`size` in `unit` ("" the column's own, "share" of rows), the same in standard deviations, `direction` in a word or two,
    `change` in a sentence."""

    size: float
    sd: float | None
    unit: str
    direction: str
    change: str


def effect(then: ProfiledColumn, now: ProfiledColumn, statistics: dict[str, float], strongest: str) -> Effect:
    """What changed, told by the statistic that is most unusual."""
    if strongest == "missing":
        gone = statistics["missing"]
        words = f"missing {_share(then.missing, then.rows)} → {_share(now.missing, now.rows)}"
        return Effect(gone, None, "share", _way(gone, "more missing", "fewer missing"), words)
    if isinstance(then, NumericColumn) and isinstance(now, NumericColumn):
        return _numeric(then, now, statistics)
    if isinstance(then, CategoricalColumn) and isinstance(now, CategoricalColumn):
        return _categorical(then, now, strongest)
    return Effect(0.0, None, "", "other type", "the type changed")


def beyond(
    then: ProfiledColumn, now: ProfiledColumn, p_values: dict[str, float], tolerance: float | None
) -> dict[str, float]:
    """The p-values of what moved further than the tolerance. Of numbers it bounds the mean (not missing values, spread and
    extremes), of text every share."""
    if tolerance is None:
        return p_values
    if isinstance(then, NumericColumn) and isinstance(now, NumericColumn):
        within = abs(_mean(now) - _mean(then)) <= tolerance
        return {name: value for name, value in p_values.items() if not (within and name in LOCATION)}
    if isinstance(then, CategoricalColumn) and isinstance(now, CategoricalColumn):
        _, before, after = aligned_values(then, now)
        moved = after / max(after.sum(), 1) - before / max(before.sum(), 1)
        new = float(moved[before == 0].sum())
        gone = now.missing / max(now.rows, 1) - then.missing / max(then.rows, 1)
        sizes = {"chi_square": float(np.abs(moved).max(initial=0.0)), "new": new, "missing": abs(gone)}
        return {name: value for name, value in p_values.items() if sizes.get(name, 1.0) > tolerance}
    return p_values


def deviation(column: NumericColumn) -> float:
    """The standard deviation of the finite values, to the width of a cell."""
    cells, counts = unpacked(column.cells)
    if len(cells) == 0:
        return 0.0
    values, shares = cell_values(cells, column.centre, column.scale), counts / counts.sum()
    return float(np.sqrt(max(shares @ np.square(values - shares @ values), 0.0)))


def _numeric(then: NumericColumn, now: NumericColumn, statistics: dict[str, float]) -> Effect:
    before, after = quantiles(then, (0.1, 0.5, 0.9)), quantiles(now, (0.1, 0.5, 0.9))
    if before is None or after is None:
        return Effect(0.0, None, "", "no values", "no values")
    moved, spread = _mean(now) - _mean(then), deviation(then)
    sd = moved / spread if spread > 0 else None
    told = _told_by(statistics)
    if told == "outside":
        share = statistics["outside"]
        direction = _way(share, "more extremes", "fewer extremes")
        change = f"{direction}: {100 * share:+.2g} % of rows beyond the outermost values; "
        change += f"range {then.low:.4g} to {then.high:.4g} → {now.low:.4g} to {now.high:.4g}"
        return Effect(share, None, "share", direction, change)
    wide, narrow = before[2] - before[0], after[2] - after[0]
    if told == "rank_spread" and (narrow - wide) * statistics["rank_spread"] > 0:
        direction = _way(statistics["rank_spread"], "wider", "narrower")
        return Effect(narrow - wide, None, "", direction, f"{direction}: middle 80 % spans {wide:.4g} → {narrow:.4g}")
    direction = _way(moved, "higher", "lower")
    told = "" if sd is None else f" ({sd:+.2g} sd)"
    change = f"{direction}: mean {_mean(then):.4g} → {_mean(now):.4g}{told}, median {before[1]:.4g} → {after[1]:.4g}"
    return Effect(moved, sd, "", direction, change)


def _told_by(statistics: dict[str, float]) -> str:
    """What says most in a sentence: a shift, another width, or a few extremes. As if values were normal: a shift by m
    (of which the mean rank tells) widens the squared normal scores by m^2, and each row beyond the edges by EXTREME."""
    if abs(statistics["rank_mean"]) > 0.35:
        return "rank_mean"
    moved = float(np.sqrt(2) * normal_quantile(np.clip(0.5 + statistics["rank_mean"], 1e-6, 1 - 1e-6)))
    width = statistics["rank_spread"] - moved**2
    outside = statistics["outside"]
    if 0 < outside < 0.1 and EXTREME * outside >= 0.5 * abs(width) and EXTREME * outside >= 2 * abs(moved):
        return "outside"
    return "rank_spread" if abs(width) / 2 > abs(moved) else "rank_mean"


def _categorical(then: CategoricalColumn, now: CategoricalColumn, strongest: str) -> Effect:
    names, before, after = aligned_values(then, now)
    shares = after / max(after.sum(), 1) - before / max(before.sum(), 1)
    if strongest == "new":
        new = [at for at, count in enumerate(before) if count == 0 and names[at] and after[at]]
        share = float(shares[new].sum()) if new else 0.0
        listed = ", ".join(names[at] for at in new[:3])
        change = f"new values {listed}: {100 * share:.2g} % of rows" if new else "no new values"
        return Effect(share, None, "share", "new values" if new else "no new values", change)
    largest = np.flatnonzero(np.abs(shares) >= np.abs(shares).max() - 1e-9)
    at = int(largest[np.argmin(before[largest])])  # of two values the rarer one
    name = names[at] or "others"
    moved = float(shares[at])
    change = f"{name} {_share(int(before[at]), int(before.sum()))} → {_share(int(after[at]), int(after.sum()))}"
    return Effect(moved, None, "share", _way(moved, f"more {name}", f"less {name}"), change)


def _mean(column: NumericColumn) -> float:
    return column.total / max(column.rows - column.missing - column.infinite, 1)


def _way(size: float, up: str, down: str) -> str:
    return up if size >= 0 else down


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.3g} %"


def bins(then: ProfiledColumn, now: ProfiledColumn) -> tuple[list[float | str], list[float], list[float]]:
    """(edges or values, shares then, shares now) for drawing."""
    if isinstance(then, NumericColumn) and isinstance(now, NumericColumn):
        values, before, after = aligned(then, now)
        inner = [value for column in (then, now) for value in quantiles(column, (0.005, 0.995)) or ()]
        low, high = (min(inner), max(inner)) if inner else (0.0, 1.0)
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
        counts = [np.bincount(place, weights=side, minlength=BINS) for side in (before, after)]
        return [float(edge) for edge in edges], _shares(counts[0], counts[0].sum()), _shares(counts[1], counts[1].sum())
    if isinstance(then, CategoricalColumn) and isinstance(now, CategoricalColumn):
        names, before, after = aligned_values(then, now)
        order = np.argsort(-(before / max(before.sum(), 1) + after / max(after.sum(), 1)), kind="stable")[:BINS]
        order = order[(before + after)[order] > 0]
        return [names[i] for i in order], _shares(before[order], before.sum()), _shares(after[order], after.sum())
    return [], [], []


def _shares(counts: NDArray[Any], total: float) -> list[float]:
    return [round(float(count / max(total, 1)), 6) for count in counts]

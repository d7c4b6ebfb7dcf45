"""The drift report: each feature's change in plain words and numbers, beside what is usual. Imports numpy."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.drift import aligned, aligned_values, chance, distances, quantiles
from loopline.usecases.monitoring.model.profile import (
    CategoricalColumn,
    NumericColumn,
    Profile,
    ProfiledColumn,
    Usual,
)

BINS = 20


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One feature then (training) and now (current window).

    `times_usual` compares the strongest statistic with what single periods of the reference usually show (1 = as much;
    None where the reference has no periods); `change` says in plain units what moved and in which direction. `bins`
    are edges (numbers) or values (text) with the shares then and now, for drawing.
    """

    name: str
    type: str
    statistics: dict[str, float]
    strongest: str
    times_usual: float | None
    change: str
    missing_then: float
    missing_now: float
    bins: list[float | str]
    shares_then: list[float]
    shares_now: list[float]


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """All features, the most changed first. `p_value`: share of the reference's own periods whose most unusual feature
    was at least as unusual as this window's (never below 1 / (periods + 1)); None without periods. `window` is "day" or
    "week", `start` its first moment, `version` the one whose training profile was compared."""

    version: int
    window: str
    start: str
    rows_then: int
    rows_now: int
    periods: int
    p_value: float | None
    columns: list[ColumnDrift]


def report(then: Profile, now: Profile, window: str, start: str = "", version: int = 0) -> DriftReport:
    """Compare two profiles with equal cells; `window` ("day", "week") says what the current one spans."""
    law = then.usual.get(window)
    pairs = [(column, now.column(column.name)) for column in then.columns]
    found = [_column(before, after, law) for before, after in pairs if after is not None]
    found.sort(key=lambda column: -(column.times_usual if column.times_usual is not None else _effect(column)))
    strongest = max((column.times_usual or 0.0 for column in found), default=0.0)
    return DriftReport(
        version=version,
        start=start,
        rows_then=then.rows,
        rows_now=now.rows,
        window=window,
        periods=len(law.rows) if law else 0,
        p_value=None if law is None else _p_value(then, law, strongest),
        columns=found,
    )


def times_usual(column: ProfiledColumn, law: Usual, statistics: dict[str, float], rows: int) -> dict[str, float]:
    """Each statistic over its usual root mean square: the variation between periods plus the chance of `rows` rows."""
    sizes = _usual_sizes(column, law, np.array([rows]))
    return {name: abs(value) / float(sizes[name][0]) for name, value in statistics.items()}


def _usual_sizes(column: ProfiledColumn, law: Usual, rows: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """The usual size of each statistic of a column in periods of as many rows as `rows` says."""
    noises, sizes = chance(column), np.array(law.rows)
    found = {}
    for name, distances_then in law.distances[column.name].items():
        between = max(float((np.array(distances_then) ** 2 - noises[name] / sizes).mean()), 0.0)
        # A share that never moved in the reference still may move by about one row in all its periods.
        least = (1 / float(sizes.sum())) ** 2 if name in ("missing", "new") else 1e-18
        found[name] = np.sqrt(np.maximum(between + noises[name] / np.maximum(rows, 1), least))
    return found


def _p_value(then: Profile, law: Usual, strongest: float) -> float:
    largest = np.zeros(len(law.rows))
    for column in then.columns:
        if column.name in law.distances:
            sizes = _usual_sizes(column, law, np.array(law.rows))
            for name, values in law.distances[column.name].items():
                largest = np.maximum(largest, np.abs(values) / sizes[name])
    return float((1 + (largest >= strongest).sum()) / (1 + len(largest)))


def _column(then: ProfiledColumn, now: ProfiledColumn, law: Usual | None) -> ColumnDrift:
    statistics = distances(then, now)
    ratios = {} if law is None or then.name not in law.distances else times_usual(then, law, statistics, now.rows)
    # Without a reference of periods the plain sizes rank the statistics; wasserstein has units and cannot take part.
    sizes = ratios or {name: abs(value) for name, value in statistics.items() if name != "wasserstein"}
    strongest = max(sizes, key=lambda name: sizes[name])
    bins, before, after = _bins(then, now)
    return ColumnDrift(
        name=then.name,
        type="numeric" if isinstance(then, NumericColumn) else "categorical",
        statistics={name: round(value, 6) for name, value in statistics.items()},
        strongest=strongest,
        times_usual=round(ratios[strongest], 3) if ratios else None,
        change=_change(then, now, statistics, strongest),
        missing_then=then.missing / max(then.rows, 1),
        missing_now=now.missing / max(now.rows, 1),
        bins=bins,
        shares_then=before,
        shares_now=after,
    )


def _effect(column: ColumnDrift) -> float:
    return max((abs(value) for name, value in column.statistics.items() if name != "wasserstein"), default=0.0)


def _change(then: ProfiledColumn, now: ProfiledColumn, statistics: dict[str, float], strongest: str) -> str:
    if strongest == "missing":
        return f"missing {_share(then.missing, then.rows)} → {_share(now.missing, now.rows)}"
    if isinstance(then, NumericColumn) and isinstance(now, NumericColumn):
        # A shift widens the ranks around the middle too: only where there is none does the width itself say something.
        return _numeric_change(then, now, strongest == "rank_spread" and abs(statistics["rank_mean"]) < 0.25)
    if isinstance(then, CategoricalColumn) and isinstance(now, CategoricalColumn):
        return _categorical_change(then, now, strongest)
    return "the type changed"


def _numeric_change(then: NumericColumn, now: NumericColumn, by_width: bool) -> str:
    before, after = quantiles(then, (0.1, 0.5, 0.9)), quantiles(now, (0.1, 0.5, 0.9))
    if before is None or after is None:
        return "no values"
    if by_width:
        return f"middle 80 % spans {before[2] - before[0]:.4g} → {after[2] - after[0]:.4g}"
    mean_then = then.total / max(then.rows - then.missing - then.infinite, 1)
    mean_now = now.total / max(now.rows - now.missing - now.infinite, 1)
    direction = "higher" if mean_now > mean_then else "lower"
    return f"{direction}: mean {mean_then:.4g} → {mean_now:.4g}, median {before[1]:.4g} → {after[1]:.4g}"


def _categorical_change(then: CategoricalColumn, now: CategoricalColumn, strongest: str) -> str:
    names, before, after = aligned_values(then, now)
    shares = after / max(after.sum(), 1) - before / max(before.sum(), 1)
    if strongest == "new":
        new = [name for name, count in zip(names, before, strict=True) if count == 0 and name][:3]
        return f"new values {', '.join(new)}" if new else "no new values"
    at = int(np.argmax(np.abs(shares)))
    total_then, total_now = int(before.sum()), int(after.sum())
    return f"{names[at] or 'others'} {_share(int(before[at]), total_then)} → {_share(int(after[at]), total_now)}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.3g} %"


def _bins(then: ProfiledColumn, now: ProfiledColumn) -> tuple[list[float | str], list[float], list[float]]:
    if isinstance(then, NumericColumn) and isinstance(now, NumericColumn):
        values, before, after = aligned(then, now)
        inner = [value for column in (then, now) for value in quantiles(column, (0.005, 0.995)) or ()]
        low, high = (min(inner), max(inner)) if inner else (0.0, 1.0)
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
        counts = [np.bincount(place, weights=side, minlength=BINS) for side in (before, after)]
        labels: list[float | str] = [float(edge) for edge in edges]
    elif isinstance(then, CategoricalColumn) and isinstance(now, CategoricalColumn):
        names, before, after = aligned_values(then, now)
        order = np.argsort(-(before / max(before.sum(), 1) + after / max(after.sum(), 1)), kind="stable")[:BINS]
        order = order[(before + after)[order] > 0]
        labels, counts = [names[i] for i in order], [before[order], after[order]]
        return labels, _shares(counts[0], before.sum()), _shares(counts[1], after.sum())
    else:
        return [], [], []
    return labels, _shares(counts[0], counts[0].sum()), _shares(counts[1], counts[1].sum())


def _shares(counts: NDArray[Any], total: float) -> list[float]:
    return [round(float(count / max(total, 1)), 6) for count in counts]

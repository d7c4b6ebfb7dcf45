"""One window judged by its references. Imports numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.drifts import effects
from loopline.usecases.monitoring.model.drifts.laws import of_several, standardized
from loopline.usecases.monitoring.model.drifts.references import LATENCY, Reference, present
from loopline.usecases.monitoring.model.drifts.reports import ColumnDrift, DriftReport
from loopline.usecases.monitoring.model.drifts.statistics import SIGNED, distances
from loopline.usecases.monitoring.model.profile import NumericColumn, Profile, ProfiledColumn

Floats = NDArray[np.float64]
LABEL, PREDICTION = "label", "prediction"
TOLERANCE_SD = 0.03


class Part(NamedTuple):
    """Columns of a window and what they are compared with."""

    reference: Reference
    now: Profile


@dataclass(frozen=True)
class Rules:
    """`tolerance` by column, in its units or shares; `columns`: only these inputs, all where it is empty."""

    window: str
    false_alarms: float = 0.01
    tolerance: Mapping[str, float] = field(default_factory=dict)
    columns: Sequence[str] = ()


def judged(
    parts: Sequence[Part], rules: Rules, start: str = "", end: str = "", version: int = 0,
    further: Sequence[ColumnDrift] = (),
) -> DriftReport:  # fmt: skip
    """The report of a window whose columns may have several references (inputs: training, label: earlier windows);
    `further` are judged already (the classifier)."""
    found = [*(one for part in parts for one in _columns(part, rules)), *further]
    number = sum(part.reference.laws(rules.window).of_all for part in parts) + len(further)
    known = [one.p_value for one in found if one.p_value is not None]
    p_value = float(of_several(min(known), number)) if known else None
    alarm = p_value is not None and p_value <= rules.false_alarms
    if alarm:
        found = [_alarmed(one, number, rules.false_alarms) for one in found]
    found.sort(key=_order)
    return DriftReport(
        version=version,
        window=rules.window,
        start=start,
        end=end,
        rows_then=max((part.reference.profile.rows for part in parts), default=0),
        rows_now=max((part.now.rows for part in parts), default=0),
        periods=max((part.reference.periods(rules.window) for part in parts), default=0),
        p_value=p_value,
        columns=found,
        reference="; ".join(dict.fromkeys(part.reference.words for part in parts)),
        alarm=alarm,
        false_alarms=rules.false_alarms,
    )


def _alarmed(one: ColumnDrift, number: float, false_alarms: float) -> ColumnDrift:
    """A column alarms when it alone would make the report unusual."""
    unusual = one.p_value is not None and float(of_several(one.p_value, number)) <= false_alarms
    return msgspec.structs.replace(one, alarm=unusual)


def _order(one: ColumnDrift) -> tuple[float, float]:
    return (1.0 if one.p_value is None else one.p_value, -(one.times_usual or _size(one)))


def _size(one: ColumnDrift) -> float:
    # Without a reference of periods the plain sizes rank the columns; wasserstein has units and cannot take part.
    return max((abs(value) for name, value in one.statistics.items() if name != "wasserstein"), default=0.0)


def _columns(part: Part, rules: Rules) -> list[ColumnDrift]:
    """All columns of a part: their p-values at once, then each in words."""
    pairs = [
        (before, after)
        for before in part.reference.profile.columns
        if (after := part.now.column(before.name)) is not None and _wanted(before.name, rules)
    ]
    statistics = {before.name: distances(before, after) for before, after in pairs}
    p_values, ratios, scores = _unusual(part, rules, dict(zip(statistics, pairs, strict=True)), statistics)
    numbers = part.reference.laws(rules.window).of_column
    return [
        _column(before, after, statistics[before.name], p_values.get(before.name, {}), ratios.get(before.name, {}),
                scores.get(before.name, {}), numbers.get(before.name, 1.0), rules)
        for before, after in pairs
    ]  # fmt: skip


def _wanted(name: str, rules: Rules) -> bool:
    return name != LATENCY and (not rules.columns or name in rules.columns or name in (LABEL, PREDICTION))


ByColumn = dict[str, dict[str, float]]
Scores = dict[str, dict[str, tuple[float, float]]]


def _unusual(
    part: Part, rules: Rules, pairs: Mapping[str, tuple[ProfiledColumn, ProfiledColumn]], statistics: ByColumn
) -> tuple[ByColumn, ByColumn, Scores]:
    """(p-values, times usual, signed scores) by column and statistic; empty without periods."""
    laws = part.reference.laws(rules.window)
    p_values, ratios, scores = ByColumn(), ByColumn(), Scores()
    if not laws.periods:
        return p_values, ratios, scores
    tests = laws.chances.tests
    distance, now, then = np.zeros((len(tests), 1)), np.ones((len(tests), 1)), np.ones((len(tests), 1))
    for at, (column, name) in enumerate(tests):
        if column in pairs and name in statistics[column]:
            before, after = pairs[column]
            distance[at] = statistics[column][name]
            now[at] = after.rows if name == "missing" else present(after)
            then[at] = before.rows if name == "missing" else present(before)
    found = laws.p_values(distance, np.maximum(now, 1), np.maximum(then, 1))[:, 0]
    rows, square = 1 / np.maximum(now, 1) + 1 / np.maximum(then, 1), laws.chances.square[:, None]
    times = standardized(distance, square, laws.periods[0].between[:, None], rows)[:, 0]
    between, unsure = np.zeros_like(square), np.zeros_like(square)
    for law in laws.strict:
        between = np.maximum(between, (law.between * (1 + 1 / law.worth))[:, None])
        unsure = np.maximum(unsure, (law.between / law.worth)[:, None])
    # A share that the reference never had counts as one of its rows.
    square = np.where(laws.chances.shares[:, None], np.maximum(square, 1 / np.maximum(then, 1)), square)
    apart = standardized(distance, square, between, rows)[:, 0]
    unit = np.sqrt(np.maximum(between + square * rows, 1e-30))[:, 0]
    # Every window meets the same reference: what it does not know itself must not gather as evidence.
    known = np.maximum(TOLERANCE_SD * np.sqrt(square), 2 * np.sqrt(square / np.maximum(then, 1)))
    allowed = (known + 2 * np.sqrt(unsure))[:, 0] / unit
    for at, (column, name) in enumerate(tests):
        if column in pairs and name in statistics[column]:
            tolerance = rules.tolerance.get(column)
            p_values.setdefault(column, {})[name] = float(found[at])
            ratios.setdefault(column, {})[name] = float(times[at])
            if name in SIGNED:
                moved = float(np.sign(distance[at, 0]) * apart[at])
                most = max(
                    float(allowed[at]),
                    _allowed(pairs[column][0], name, tolerance) * float(square[at, 0]) ** 0.5 / float(unit[at]),
                )
                scores.setdefault(column, {})[name] = (round(moved, 6), round(most, 6))
    return p_values, ratios, scores


def _allowed(then: ProfiledColumn, statistic: str, tolerance: float | None) -> float:
    """A tolerance in standard deviations of what a statistic measures: of numbers it bounds the mean, of text shares."""
    if tolerance is None:
        return 0.0
    if isinstance(then, NumericColumn):
        spread = effects.deviation(then)
        return tolerance / spread if statistic == "rank_mean" and spread > 0 else 0.0
    share = then.missing / max(then.rows, 1) if statistic == "missing" else 0.0
    return float(tolerance / np.sqrt(max(share * (1 - share), 1 / max(then.rows, 1))))


def _column(
    then: ProfiledColumn, now: ProfiledColumn, statistics: dict[str, float], p_values: dict[str, float],
    ratios: dict[str, float], scores: dict[str, tuple[float, float]], number: float, rules: Rules,
) -> ColumnDrift:  # fmt: skip
    tolerance = rules.tolerance.get(then.name)
    kept = effects.beyond(then, now, p_values, tolerance)
    judged_by = kept or p_values
    plain = {name: abs(value) for name, value in statistics.items() if name != "wasserstein"}
    strongest = (
        min(judged_by, key=lambda name: (judged_by[name], -ratios[name]))
        if judged_by
        else max(plain, key=lambda name: plain[name])
    )
    effect = effects.effect(then, now, statistics, strongest)
    bins, before, after = effects.bins(then, now)
    p_value = None if not p_values else float(of_several(min(kept.values()), number)) if kept else 1.0
    return ColumnDrift(
        name=then.name,
        kind=then.name if then.name in (LABEL, PREDICTION) else "input",
        type="numeric" if isinstance(then, NumericColumn) else "categorical",
        statistics={name: round(value, 6) for name, value in statistics.items()},
        strongest=strongest,
        times_usual=round(ratios[strongest], 3) if ratios else None,
        change=effect.change,
        missing_then=then.missing / max(then.rows, 1),
        missing_now=now.missing / max(now.rows, 1),
        bins=bins,
        shares_then=before,
        shares_now=after,
        p_value=p_value,
        p_values={name: float(f"{kept.get(name, 1.0):.6g}") for name in p_values},
        effect=effect.size,
        effect_sd=effect.sd,
        unit=effect.unit,
        direction=effect.direction,
        tolerance=tolerance,
        scores=scores,
    )

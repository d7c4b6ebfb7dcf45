"""What a window is compared with: a pooled profile, and how much its own periods differ. Imports numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.usecases.monitoring.model.drifts.chance import chance
from loopline.usecases.monitoring.model.drifts.laws import (
    PRIOR_OF_ALL,
    Chances,
    PeriodLaw,
    Test,
    alike,
    effective_number,
    of_several,
    period_law,
    standardized,
)
from loopline.usecases.monitoring.model.drifts.statistics import distances_of_periods
from loopline.usecases.monitoring.model.profile import Profile, ProfiledColumn, Usual

Floats = NDArray[np.float64]
FINER = {"month": ("week", "day"), "week": ("day",)}
ENOUGH = 20
# Seasons go on: months lie this much further apart than the weeks inside them say.
TREND = 2.0
NOT_JUDGED = frozenset({"total_variation"})
LATENCY = "latency_ms"


@dataclass(frozen=True)
class Reference:
    """`words` say what it is ("the 59 days that version 3 was trained on"). `usual` by window; of windows with fewer than
    ENOUGH periods the shorter ones count too."""

    words: str
    profile: Profile
    usual: Mapping[str, Usual]
    made: dict[str, Laws] = field(default_factory=dict, compare=False, repr=False)

    def laws(self, window: str) -> Laws:
        """What is normal for a window, made once."""
        if window not in self.made:
            self.made[window] = laws_of(self, window)
        return self.made[window]

    def periods(self, window: str) -> int:
        """How many periods tell what is normal."""
        found = self.laws(window).periods
        return len(found[0].rows) if found else 0


@dataclass(frozen=True)
class Laws:
    """Of one kind of window, for the tests (column, statistic) of one reference: the row law, the laws of periods (the window's own first), those
    of them that must agree (none where periods are alike), how many independent tests each column's statistics are worth, and all columns."""

    window: str
    chances: Chances
    periods: tuple[PeriodLaw, ...]
    strict: tuple[PeriodLaw, ...]
    of_column: Mapping[str, float]
    of_all: float

    def p_values(self, distance: Floats, now: Floats, then: Floats) -> Floats:
        """The p-value of each test: the largest of all laws'. Without periods nothing is unusual."""
        found = self.chances.p_values(distance, now, then)
        for law in self.strict:
            further = 1.0 if law.window == self.window else TREND
            found = np.maximum(found, law.p_values(distance / further, now, then))
        return found


def laws_of(reference: Reference, window: str) -> Laws:
    """The laws of a reference for a window."""
    tests, entries = tests_of(reference, window)
    chances = Chances(tests, entries)
    laws: list[PeriodLaw] = []
    for kind in (window, *FINER.get(window, ())):
        known = len(laws[0].rows) if laws else 0
        law = period_law(kind, chances, reference.usual[kind]) if kind in reference.usual and tests else None
        if law is not None and known < ENOUGH:
            laws.append(law)
    if not laws:
        return Laws(window, chances, (), (), {}, 1.0)
    found = [_own(chances, law, reference) for law in laws]
    same = all(alike(chances, rowwise, apart) for rowwise, _, apart in found)
    of_column, of_all = _numbers(chances, found[0][0] if same else np.maximum(*found[0][:2]))
    of_all = float(len(of_column)) if same else of_all  # by chance alone, tails are hardly related
    return Laws(window, chances, tuple(laws), () if same else tuple(laws), of_column, of_all)


def tests_of(reference: Reference, window: str) -> tuple[list[Test], list[Any]]:
    """The statistics that can be judged: those that chance and all periods have."""
    known = [reference.usual[kind] for kind in (window, *FINER.get(window, ())) if kind in reference.usual]
    found = [
        ((column.name, name), entry)
        for column in reference.profile.columns
        if column.name != LATENCY
        for name, entry in chance(column).items()
        if name not in NOT_JUDGED and all(name in usual.distances.get(column.name, {}) for usual in known)
    ]
    return [test for test, _ in found], [entry for _, entry in found]


def present(column: ProfiledColumn) -> float:
    """Rows that have a value."""
    return float(max(column.rows - column.missing - getattr(column, "infinite", 0), 0))


def usual_of(starts: Sequence[str], profiles: Sequence[Profile], whole: Profile) -> Usual:
    """How far each of the profiles lies from all the others; they have the columns of `whole`, their sum. Those with few
    rows (a first or last part) say more about chance than about periods: they are left out, with at least two left."""
    rows = np.array([profile.rows for profile in profiles], dtype=float)
    kept = np.flatnonzero(rows >= 0.3 * np.median(rows)) if len(rows) else np.zeros(0, dtype=int)
    distances = {}
    for column in whole.columns:
        parts = [part for profile in profiles if (part := profile.column(column.name)) is not None]
        if len(parts) == len(profiles) and column.name != LATENCY:
            found = distances_of_periods(parts, column)
            distances[column.name] = {name: np.round(values[kept], 9).tolist() for name, values in found.items()}
    return Usual([starts[int(at)] for at in kept], [int(rows[at]) for at in kept], distances)


def _own(chances: Chances, law: PeriodLaw, reference: Reference) -> tuple[Floats, Floats, Floats]:
    """Of the reference's own periods: p-values by the row law and by that of periods, and distances in units of chance."""
    usual = reference.usual[law.window]
    distance = np.array([usual.distances[column][name] for column, name in chances.tests], dtype=np.float64)
    now, then = _sizes(chances, reference.profile, distance, law.rows)
    rowwise, between = chances.p_values(distance, now, then, own=True), law.p_values(distance, now, then, own=True)
    return (
        rowwise,
        between,
        standardized(distance, chances.square[:, None], np.zeros((len(now), 1)), 1 / now + 1 / then),
    )


def _numbers(chances: Chances, p: Floats) -> tuple[dict[str, float], float]:
    """Effective numbers of tests from the joint law of the reference's periods."""
    columns = np.array([column for column, _ in chances.tests])
    of_column, smallest = {}, []
    for column in dict.fromkeys(columns):
        mine = p[columns == column]
        of_column[str(column)] = effective_number(mine.min(axis=0), len(mine))
        smallest.append(of_several(mine.min(axis=0), of_column[str(column)]))
    return of_column, effective_number(np.min(smallest, axis=0), len(smallest), PRIOR_OF_ALL)


def _sizes(chances: Chances, profile: Profile, distance: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Rows of each period and of the others: for `missing` all of them, else those that have a value."""
    total, now = float(profile.rows), np.empty(distance.shape)
    then = np.empty(distance.shape)
    for at, (column, statistic) in enumerate(chances.tests):
        now[at], then[at] = rows, np.maximum(total - rows, 1)
        found = profile.column(column)
        if statistic != "missing" and found is not None:
            share = present(found) / max(found.rows, 1)
            now[at] = np.maximum(rows * share, 1)
            then[at] = np.maximum(then[at] * share, 1)
    return now, then

"""The drift report from two profiles: each feature's change in plain words and numbers, beside what is usual. Imports numpy."""

from __future__ import annotations

from loopline.usecases.monitoring.model.drifts.judging import Part, Rules, judged
from loopline.usecases.monitoring.model.drifts.references import Reference
from loopline.usecases.monitoring.model.drifts.reports import ColumnDrift, DriftReport
from loopline.usecases.monitoring.model.profile import Profile

__all__ = ["ColumnDrift", "DriftReport", "report", "trained"]


def report(then: Profile, now: Profile, window: str, start: str = "", version: int = 0) -> DriftReport:
    """Compare two profiles with equal cells; `window` ("hour", "day", "week", "month") says what the current one spans."""
    return judged([Part(trained(then, version), now)], Rules(window=window), start, version=version)


def trained(profile: Profile, version: int = 0) -> Reference:
    """The rows that a version was trained on."""
    return Reference(f"{profile.rows:,} rows that version {version} was trained on", profile, profile.usual)

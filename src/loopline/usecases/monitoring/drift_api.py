"""Drift over time, as the outside calls it."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring.model.drifts.reports import DriftHistory
from loopline.usecases.monitoring.model.summaries import ColumnSummary


class HistoryOf(msgspec.Struct):
    """`since`, `until`: ISO 8601 bounds of windows' starts; '' leaves one open."""

    endpoint: str
    since: str = ""
    until: str = ""


def drift_history(monitoring: Any, request: HistoryOf, caller: Caller) -> DriftHistory:
    found: DriftHistory = monitoring.drift_history(request.endpoint, request.since, request.until)
    return found


def profiles(monitoring: Any, request: HistoryOf, caller: Caller) -> list[ColumnSummary]:
    return list(monitoring.profiles(request.endpoint, request.since, request.until))


VERBS: tuple[Verb, ...] = (
    Verb(
        "monitoring.drift_history", "GET", "/monitors/{endpoint}/drift/history", Role.VIEWER, HistoryOf, drift_history,
        "Show each column's drift over time",
    ),
    Verb(
        "monitoring.profiles", "GET", "/monitors/{endpoint}/profiles", Role.VIEWER, HistoryOf, profiles,
        "Show each column of each window in a few numbers",
    ),
)  # fmt: skip

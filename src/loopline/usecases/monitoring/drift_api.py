"""Drift over time, as the outside calls it."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring.model.drifts.reports import DriftHistory


class HistoryOf(msgspec.Struct):
    """`since`, `until`: ISO 8601 bounds of windows' starts; '' leaves one open."""

    endpoint: str
    since: str = ""
    until: str = ""


def drift_history(monitoring: Any, request: HistoryOf, caller: Caller) -> DriftHistory:
    found: DriftHistory = monitoring.drift_history(request.endpoint, request.since, request.until)
    return found


VERBS: tuple[Verb, ...] = (
    Verb(
        "monitoring.drift_history", "GET", "/monitors/{endpoint}/drift/history", Role.VIEWER, HistoryOf, drift_history,
        "Show each column's drift over time",
    ),
)  # fmt: skip

"""The verbs that tell how good predictions are."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring import qualities
from loopline.usecases.monitoring.model.quality.results import Calibration, Delay, Fairness, Looks, Performance


class DelayOf(msgspec.Struct):
    endpoint: str


class PerformanceOf(msgspec.Struct):
    """`column`: '' for the whole endpoint, "version", "arm", a slice or a protected column. `since`, `until`: ISO 8601 bounds
    of windows' starts."""

    endpoint: str
    column: str = ""
    since: str = ""
    until: str = ""


class CalibrationOf(msgspec.Struct):
    """`column` and `value`: '' for all rows, else those of one version, arm or segment. `since`, `until`: ISO 8601, whole days;
    '' for the last 28 days."""

    endpoint: str
    column: str = ""
    value: str = ""
    since: str = ""
    until: str = ""


class LooksOf(msgspec.Struct):
    """`metric`: '' for the one that stands for the endpoint. Without `since` and `column` all days of the live version."""

    endpoint: str
    metric: str = ""
    column: str = ""
    value: str = ""
    since: str = ""
    until: str = ""


class FairnessAsked(msgspec.Struct):
    """`column`: '' for all protected ones. `since`, `until`: ISO 8601, whole days; '' for the last 28 days."""

    endpoint: str
    column: str = ""
    since: str = ""
    until: str = ""


def performance(monitoring: Any, request: PerformanceOf, caller: Caller) -> Performance:
    return qualities.performance(monitoring, request.endpoint, request.column, request.since, request.until)


def calibration(monitoring: Any, request: CalibrationOf, caller: Caller) -> Calibration:
    asked = (request.endpoint, request.column, request.value, request.since, request.until)
    return qualities.calibration(monitoring, *asked)


def delay(monitoring: Any, request: DelayOf, caller: Caller) -> Delay:
    return qualities.delay(monitoring, request.endpoint)


def looks(monitoring: Any, request: LooksOf, caller: Caller) -> Looks:
    asked = (request.endpoint, request.metric, request.column, request.value, request.since, request.until)
    return qualities.looks(monitoring, *asked)


def fairness(monitoring: Any, request: FairnessAsked, caller: Caller) -> Fairness:
    return qualities.fairness(monitoring, request.endpoint, request.column, request.since, request.until)


_ONE = "/monitors/{endpoint}"
VERBS: tuple[Verb, ...] = (
    Verb(
        "monitoring.performance", "GET", _ONE + "/performance", Role.VIEWER, PerformanceOf, performance,
        "Show realized performance with intervals, and how much of the truth has arrived",
    ),
    Verb(
        "monitoring.calibration", "GET", _ONE + "/calibration", Role.VIEWER, CalibrationOf, calibration,
        "Show how often what was predicted came true",
    ),
    Verb("monitoring.delay", "GET", _ONE + "/delay", Role.VIEWER, DelayOf, delay, "Show how late truth comes"),
    Verb(
        "monitoring.looks", "GET", _ONE + "/looks", Role.VIEWER, LooksOf, looks,
        "Show how a metric settled, with intervals that hold at every look",
    ),
    Verb(
        "monitoring.fairness", "GET", _ONE + "/fairness", Role.VIEWER, FairnessAsked, fairness,
        "Compare protected groups",
    ),
)  # fmt: skip

"""The verbs of estimates as the outside calls them."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.monitoring.estimated import EstimateRecord
from loopline.usecases.monitoring.model.estimates.values import Estimate


class EstimatesOf(msgspec.Struct):
    """`metric`: '' for all. `method`: "mix" is the one to show, '' gives all. `since`, `until`: ISO 8601 bounds of starts."""

    endpoint: str
    metric: str = ""
    method: str = "mix"
    since: str = ""
    until: str = ""


class ErrorsOf(msgspec.Struct):
    """`metric`: '' for all."""

    endpoint: str
    metric: str = ""


def estimates(monitoring: Any, request: EstimatesOf, caller: Caller) -> list[Estimate]:
    return list(monitoring.estimates(request.endpoint, request.metric, request.method, request.since, request.until))


def estimate_errors(monitoring: Any, request: ErrorsOf, caller: Caller) -> EstimateRecord:
    found: EstimateRecord = monitoring.estimate_errors(request.endpoint, request.metric)
    return found


_ONE = "/monitors/{endpoint}"
VERBS: tuple[Verb, ...] = (
    Verb(
        "monitoring.estimates", "GET", _ONE + "/estimates", Role.VIEWER, EstimatesOf, estimates,
        "Show performance as estimated before its truth",
    ),
    Verb(
        "monitoring.estimate_errors", "GET", _ONE + "/estimates/errors", Role.VIEWER, ErrorsOf, estimate_errors,
        "Show how wrong estimates were",
    ),
)  # fmt: skip

"""The verbs of traces."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.tracking.trace_rows import Trace
from loopline.usecases.tracking.trace_tree import TraceTree


class FindTraces(msgspec.Struct):
    """Of one experiment by name, of all without."""

    experiment: str = ""
    filter: str = ""
    order_by: list[str] = []
    limit: int = 100
    offset: int = 0


class OfTrace(msgspec.Struct):
    trace_id: str


class Found(msgspec.Struct):
    """Traces, each with the name of its experiment; `more` says whether others follow."""

    traces: list[Trace]
    experiments: dict[str, str]
    more: bool


def traces(tracking: Any, request: FindTraces, caller: Caller) -> Found:
    asked = (request.experiment, request.filter, request.order_by, request.limit, request.offset)
    return Found(*tracking.traces_named(*asked))


def trace(tracking: Any, request: OfTrace, caller: Caller) -> TraceTree:
    found: TraceTree = tracking.trace_tree(request.trace_id)
    return found


VERBS = (
    Verb("tracking.traces", "GET", "/tracking/traces", Role.VIEWER, FindTraces, traces, "Find traces"),
    Verb("tracking.trace", "GET", "/tracking/traces/{trace_id}", Role.VIEWER, OfTrace, trace, "Show a trace"),
)

"""MLflow's routes for histories of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.fields import offset_of, token_of
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Route
from loopline.usecases.tracking.model import Measured
from loopline.usecases.tracking.wire_mlflow.messages import Field, Values, int32, missing, read, text, wrong

MOST_POINTS = 1_000_000
MOST_IN_BULK = 25_000
MOST_RUNS = 100
MOST_OF_A_RUN = 2_500
_RUN = re.compile(r"[0-9a-f]{32}\Z")

HISTORY = (
    Field("run_id", text, True, other="run_uuid"),
    Field("metric_key", text, True),
    Field("page_token", text),
    Field("max_results", int32),
)
BULK = (Field("run_id", text, many=True), Field("metric_key", text), Field("max_results", int32))
INTERVAL = (
    Field("run_ids", text, many=True),
    Field("metric_key", text, True),
    Field("start_step", int32),
    Field("end_step", int32),
    Field("max_results", int32),
)


class Told(msgspec.Struct):
    """A point as the protocol tells it."""

    key: str
    value: float | str
    timestamp: int
    step: int


class ToldOf(Told):
    """A point among those of several runs."""

    run_id: str


def history(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """All points of a metric, or a page of them, by (time, step, value)."""
    given = read(HISTORY, fields, query=True)
    limit = given["max_results"] if given["max_results"] is not None else MOST_POINTS
    if limit < 1:
        raise Invalid(
            f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer.",
            "Or leave it out.",
        )
    run_id, key = given["run_id"], given["metric_key"]
    offset = offset_of(given["page_token"] or "", "history", run_id, key)
    limit = min(limit, MOST_POINTS - 1)
    found = points(tracking, run_id, key, limit + 1, offset)
    answer: Values = {"metrics": [Told(key, one.value, one.at_ms, one.step) for one in found[:limit]]} if found else {}
    more = len(found) > limit
    return answer | ({"next_page_token": token_of(offset + limit, "history", run_id, key)} if more else {})


def bulk(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """The points of a metric in several runs, one run after the other, as many as one answer carries."""
    given = read(BULK, fields, query=True)
    ids = given["run_id"]
    if not ids:
        raise Invalid("GetMetricHistoryBulk request must specify at least one run_id.", "Repeat run_id for several.")
    if len(ids) > MOST_RUNS:
        raise Invalid(
            f"GetMetricHistoryBulk request cannot specify more than {MOST_RUNS} run_ids.",
            f"Received {len(ids)} run_ids.",
        )
    if given["metric_key"] is None:
        raise Invalid("GetMetricHistoryBulk request must specify a metric_key.", "Name one metric.")
    left = min(MOST_IN_BULK if given["max_results"] is None else max(0, given["max_results"]), MOST_IN_BULK)
    found: list[ToldOf] = []
    for run_id in sorted({*ids}):
        if len(found) < left:
            found += told(
                run_id, given["metric_key"], points(tracking, run_id, given["metric_key"], left - len(found), 0)
            )
    return {"metrics": found}


def interval(tracking: Any, fields: dict[str, Any], caller: Caller) -> Values:
    """Points of a metric in several runs, evenly chosen, from one step to another."""
    given = read(INTERVAL, fields, query=True)
    ids, most = given["run_ids"], given["max_results"]
    if not ids:
        raise missing("run_ids")
    if len(ids) > MOST_RUNS:
        raise Invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids. Received {len(ids)} run_ids.",
            "Ask for the others in another request.",
        )
    if most is not None and not 1 <= most <= MOST_OF_A_RUN:
        raise wrong("max_results", most, f"max_results must be between 1 and {MOST_OF_A_RUN}.")
    first, last = checked_steps(given["start_step"], given["end_step"])
    sampled = tracking.sampled(ids, given["metric_key"], most or MOST_OF_A_RUN, first, last)
    found = [one for run_id, measured in sampled for one in told(run_id, given["metric_key"], measured)]
    return {"metrics": found} if found else {}


def checked_steps(first: int | None, last: int | None) -> tuple[int | None, int | None]:
    """Both ends of an interval, or none."""
    if (first is None) != (last is None):
        raise Invalid(
            "If either start step or end step are specified, both must be specified.", "Send start_step and end_step."
        )
    if first is not None and last is not None and first > last:
        raise Invalid(
            f"end_step must be greater than start_step. Found start_step={first} and end_step={last}.", "Swap them."
        )
    return first, last


def points(tracking: Any, run_id: str, key: str, limit: int, offset: int) -> list[Measured]:
    """Points of a metric by (time, step, value); none of an unknown run."""
    if not _RUN.match(run_id) or limit < 1:
        return []
    found: list[Measured] = tracking.points_of(run_id, key, limit, offset)
    return found


def told(run_id: str, key: str, measured: Iterable[Measured]) -> list[ToldOf]:
    """Points of one run among several."""
    return [ToldOf(key, one.value, one.at_ms, one.step, run_id) for one in measured]


ROUTES = (
    Route("GET", "metrics/get-history", Role.VIEWER, history),
    Route("GET", "metrics/get-history-bulk", Role.VIEWER, bulk),
    Route("GET", "metrics/get-history-bulk-interval", Role.VIEWER, interval),
)

"""Whatever a client sends, each route answers or refuses: nothing else ever comes out."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.core.errors import LooplineError
from loopline.core.verbs import Caller, Role
from loopline.usecases.tracking.wire_mlflow import INTAKE, ROUTES, experiments, inputs, metrics, runs, searches

pytestmark = pytest.mark.integration
MINE = [route for part in (experiments, runs, metrics, searches, inputs) for route in part.ROUTES]
NAMES = [
    "run_id",
    "run_uuid",
    "runId",
    "experiment_id",
    "experiment_name",
    "experiment_ids",
    "name",
    "new_name",
    "key",
    "value",
    "timestamp",
    "step",
    "tags",
    "params",
    "metrics",
    "datasets",
    "models",
    "model_id",
    "dataset",
    "digest",
    "source",
    "schema",
    "filter",
    "order_by",
    "max_results",
    "page_token",
    "view_type",
    "run_view_type",
    "status",
    "start_time",
    "end_time",
    "run_name",
    "artifact_location",
    "metric_key",
    "run_ids",
    "start_step",
    "end_step",
    "model_json",
    "user_id",
]
TEXTS = [
    "",
    "0",
    "1",
    "-1",
    "x" * 300,
    "\ud800",
    "a\0b",
    "../..",
    "%00",
    "NaN",
    "name = 'a'",
    "metrics.a > 1 AND",
    "m-1",
]
TEXTS += ["ALL", "RUNNING", "{}", "[]", "9" * 30, "tags.`a` LIKE '%%'", "metrics.a DESC", "WzEsMV0=", "WzFd", "1e999"]
OBJECTS = [{"key": "k"}, {"key": "k", "value": "v"}, {"dataset": {"name": "n", "digest": "d"}}, {"model_id": "m-1"}]
NUMBERS = [2**63, -(2**63) - 1, 10**30, 1.5, float("nan"), float("inf"), True, 0, -1]
TELLING = st.sampled_from([*TEXTS, *OBJECTS, *NUMBERS, [[]], [{}], [None], [""], ["0"]])
ANYTHING = st.recursive(
    TELLING | st.none() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), ANYTHING, max_size=6)
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
Call = Callable[..., Any]


@pytest.fixture(scope="session")
def served(opened: Any, call: Call) -> SimpleNamespace:
    """The service, its database, and a run that exists."""
    run_id = call("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    return SimpleNamespace(tracking=opened.tracking, database=opened.database, run_id=run_id)


def answered(ask: Callable[[], Any]) -> LooplineError | None:
    """The refusal, or None after an answer that can be sent."""
    try:
        msgspec.json.encode(ask())
    except LooplineError as error:
        return error
    return None


@pytest.mark.parametrize("route", MINE, ids=lambda route: f"{route.method} {route.path}")
@QUICK
@given(fields=FIELDS, known=st.sampled_from([(), ("run_id",), ("run_id", "experiment_id")]))
def test_every_route_answers_or_refuses(
    served: SimpleNamespace, route: Any, fields: dict[str, Any], known: tuple[str, ...]
) -> None:
    real = {"run_id": served.run_id, "experiment_id": "0"}
    sent = fields | {name: real[name] for name in known}
    if route.path == "experiments/delete" and sent.get("experiment_id") == "0":
        return  # the others need it
    began = time.perf_counter()
    refused = answered(lambda: route.call(served.tracking, sent, Caller("ann", Role.EDITOR)))
    assert refused is None or refused.http_status < 500
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("path", [*INTAKE])
@QUICK
@given(fields=FIELDS | ANYTHING, known=st.booleans())
def test_what_is_logged_is_taken_or_refused(served: SimpleNamespace, path: str, fields: Any, known: bool) -> None:
    if known and isinstance(fields, dict):
        fields = fields | {"run_id": served.run_id}
    try:
        content = msgspec.json.encode(fields)
    except (UnicodeEncodeError, OverflowError):
        return  # nothing that can be sent
    refused = answered(lambda: served.database.write(INTAKE[path](served.tracking, content)))
    assert refused is None or refused.http_status < 500


@settings(max_examples=200)
@given(content=st.binary(max_size=80) | st.sampled_from([b"[" * 5_000, b'{"run_id":' * 2_000, b'"\\ud800"', b"1e400"]))
def test_bytes_that_are_no_message_are_refused(served: SimpleNamespace, content: bytes) -> None:
    for prepare in INTAKE.values():
        refused = answered(lambda prepare=prepare: served.database.write(prepare(served.tracking, content)))  # type: ignore[misc]
        assert refused is not None
        assert refused.http_status < 500


def test_every_route_of_the_protocol_is_there() -> None:
    found = {(route.method, route.path) for route in ROUTES} | {("POST", path) for path in INTAKE}
    expected = {("GET", f"experiments/{word}") for word in ("get", "get-by-name", "search")}
    words = "create search delete restore update set-experiment-tag delete-experiment-tag search-datasets"
    expected |= {("POST", f"experiments/{word}") for word in words.split()}
    words = (
        "create update delete restore search log-metric log-parameter log-batch set-tag delete-tag log-inputs outputs"
    )
    expected |= {("POST", f"runs/{word}") for word in (*words.split(), "log-model")} | {("GET", "runs/get")}
    words = "get-history get-history-bulk get-history-bulk-interval"
    expected |= {("GET", f"metrics/{word}") for word in words.split()}
    assert expected <= found

"""Traces: taken in as MLflow's clients and OpenTelemetry send them, found, shown, deleted."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Coded, Raw
from loopline.testing.factories import installation
from loopline.usecases.tracking import otlp
from loopline.usecases.tracking.web.traces import trace as trace_page
from loopline.usecases.tracking.web.traces import traces as traces_page
from loopline.usecases.tracking.wire_mlflow import traces as wire

pytestmark = pytest.mark.integration
ADA = Caller("ada", Role.ADMIN)
FIRST, SECOND = "1" * 32, "2" * 32


@pytest.fixture(scope="module")
def loopline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with installation(tmp_path_factory.mktemp("traces")) as opened:
        yield opened


@pytest.fixture
def tracking(loopline: Any) -> Iterator[Any]:
    yield loopline.tracking
    found, _ = loopline.tracking.search_traces([0])
    loopline.tracking.delete_traces(0, "ada", [one.id for one in found])


def message(trace: str, *spans: tuple[str, str, str, int, int]) -> bytes:
    """Spans (id, parent, name, start and end in ms) as OpenTelemetry sends them."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, parent, name, start, end in spans:
        span = scope.spans.add()
        span.trace_id, span.span_id = bytes.fromhex(trace), bytes.fromhex(number)
        span.parent_span_id, span.name = bytes.fromhex(parent), name
        span.start_time_unix_nano, span.end_time_unix_nano = start * 1_000_000, end * 1_000_000
        span.status.code = 2 if name == "failing" else 1
        kind, inputs = span.attributes.add(), span.attributes.add()
        kind.key, kind.value.string_value = "mlflow.spanType", "CHAIN"
        inputs.key = "mlflow.spanInputs"
        pair = inputs.value.kvlist_value.values.add()
        pair.key, pair.value.int_value = "number", 20
    return bytes(request.SerializeToString())


def sent(tracking: Any, folder: Path, content: bytes, **headers: str) -> Any:
    body = folder / "body"
    body.write_bytes(content)
    kept = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0"} | headers
    return wire.spans(tracking, {"headers": {name: value for name, value in kept.items() if value}, "body": body}, ADA)


def told(trace_id: str = f"tr-{FIRST}", **more: Any) -> dict[str, Any]:
    info = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-11-21T20:00:00.123456789Z",
        "execution_duration": "1.250s",
        "state": "OK",
        "trace_metadata": {"mlflow.sourceRun": "a" * 32},
        "tags": {"mlflow.traceName": "answer", "team": "air"},
        **more,
    }
    return {"trace": {"trace_info": info}}


ROOT, CHILD = "0" * 15 + "1", "0" * 15 + "2"


def test_spans_make_a_trace_until_its_client_tells_of_it(tracking: Any, tmp_path: Path) -> None:
    assert isinstance(sent(tracking, tmp_path, message(FIRST, (CHILD, ROOT, "inner", 1_010, 1_030))), Raw)
    found = tracking.trace(f"tr-{FIRST}")
    assert (found.state, found.started_ms, found.name) == ("IN_PROGRESS", 1_010, "")
    sent(
        tracking,
        tmp_path,
        gzip.compress(message(FIRST, (ROOT, "", "outer", 1_000, 1_100))),
        **{"content-encoding": "gzip"},
    )
    found = tracking.trace(f"tr-{FIRST}")
    assert (found.state, found.started_ms, found.duration_ms, found.name) == ("OK", 1_000, 100, "outer")
    wire.start(tracking, told(), ADA)
    sent(tracking, tmp_path, message(FIRST, ("0" * 15 + "3", ROOT, "late", 1_000, 9_000)))
    found = tracking.trace(f"tr-{FIRST}")
    assert (found.name, found.duration_ms, found.tags["mlflow.trace.spansLocation"]) == (
        "answer",
        1_250,
        "TRACKING_STORE",
    )


def test_a_trace_is_told_as_it_was_sent(tracking: Any, tmp_path: Path) -> None:
    sent(tracking, tmp_path, message(FIRST, (ROOT, "", "outer", 1_000, 1_100), (CHILD, ROOT, "failing", 1_010, 1_030)))
    answered = wire.start(tracking, told(), ADA)["trace"]["trace_info"]
    assert (answered["request_time"], answered["execution_duration"]) == ("2026-11-21T20:00:00.123Z", "1.250s")
    assert answered["tags"]["mlflow.artifactLocation"] == f"mlflow-artifacts:/0/traces/tr-{FIRST}/artifacts"
    asked = {"trace_id": f"tr-{FIRST}"}
    assert wire.get(tracking, asked, ADA)["trace"]["trace_info"] == answered
    whole = wire.whole(tracking, asked, ADA)["trace"]
    assert [one["name"] for one in whole["spans"]] == ["outer", "failing"]
    assert {one["trace_id"] for one in whole["spans"]} == {"EREREREREREREREREREREQ=="}
    several = wire.several(tracking, {"trace_ids": [f"tr-{FIRST}", "tr-none"]}, ADA)["traces"]
    assert several == [whole]
    assert wire.infos(tracking, {"trace_ids": f"tr-{FIRST}"}, ADA)["trace_infos"] == [answered]


def test_a_tree_is_drawn(loopline: Any, tracking: Any, tmp_path: Path) -> None:
    sent(tracking, tmp_path, message(FIRST, (CHILD, ROOT, "failing", 1_050, 1_100), (ROOT, "", "outer", 1_000, 1_100)))
    wire.start(tracking, told(request_preview="<b>"), ADA)
    found = tracking.trace_tree(f"tr-{FIRST}")
    assert [(one.name, one.depth, one.left, one.width, one.status) for one in found.nodes] == [
        ("outer", 0, 0.0, 1.0, "OK"),
        ("failing", 1, 0.5, 0.5, "ERROR"),
    ]
    assert (found.nodes[0].inputs, found.nodes[0].type) == ({"number": 20}, "CHAIN")
    page = trace_page(caller(loopline), {"trace_id": f"tr-{FIRST}"})
    assert (page["trace"]["name"], page["trace"]["run_id"], page["nodes"][1]["bar"]) == (
        "answer",
        "a" * 32,
        {"x": 500.0, "width": 500.0},
    )
    listed = traces_page(caller(loopline), {"filter": "status = 'OK'"})
    assert ([one["name"] for one in listed["traces"]], listed["mistake"]) == (["answer"], None)
    assert traces_page(caller(loopline), {"filter": "status ="})["mistake"] is not None


def test_spans_that_are_each_others_parents_are_shown(tracking: Any, tmp_path: Path) -> None:
    sent(tracking, tmp_path, message(FIRST, (ROOT, CHILD, "one", 1, 2), (CHILD, ROOT, "two", 1, 2)))
    assert sorted(one.name for one in tracking.trace_tree(f"tr-{FIRST}").nodes) == ["one", "two"]


def caller(loopline: Any) -> Any:
    import msgspec

    from loopline.app.wiring import verb_named

    def call(name: str, **fields: Any) -> Any:
        verb = verb_named(name)
        return msgspec.to_builtins(verb.call(loopline.get(name.partition(".")[0]), verb.request(**fields), ADA))

    return call


def test_spans_that_a_client_kept_as_a_file_are_shown(tracking: Any) -> None:
    """As clients of 2.x do, and those of 3.x when the server takes no spans."""
    begun = wire.start(
        tracking, {"experiment_id": "0", "timestamp_ms": 1_000, "tags": [{"key": "a", "value": "b"}]}, ADA
    )
    trace_id = begun["trace_info"]["request_id"]
    spans = [
        {
            "name": "two",
            "context": {"span_id": "0x00000000000000aa", "trace_id": "0x1"},
            "parent_id": None,
            "start_time": 5,
            "end_time": 9,
            "status_code": "OK",
            "attributes": {"mlflow.spanInputs": '{"q": 1}', "mlflow.spanType": '"TOOL"'},
        },
        {
            "name": "three",
            "span_id": "AAAAAAAAALs=",
            "parent_span_id": "AAAAAAAAAKo=",
            "start_time_unix_nano": 6,
            "end_time_unix_nano": 8,
            "status": {"code": "STATUS_CODE_ERROR"},
            "attributes": {},
        },
    ]
    tracking.put_bytes("e/0", f"traces/{trace_id}/artifacts/traces.json", json.dumps({"spans": spans}).encode())
    ended = {
        "trace_id": trace_id,
        "timestamp_ms": 1_500,
        "status": "ERROR",
        "request_metadata": [{"key": "m", "value": "1"}],
    }
    assert wire.end(tracking, ended, ADA)["trace_info"]["execution_time_ms"] == 500
    found = tracking.trace_tree(trace_id)
    assert [(one.name, one.depth, one.status, one.type) for one in found.nodes] == [
        ("two", 0, "OK", "TOOL"),
        ("three", 1, "ERROR", ""),
    ]
    assert found.nodes[0].inputs == {"q": 1}
    assert wire.get_v2(tracking, {"trace_id": trace_id}, ADA)["trace_info"]["status"] == "ERROR"
    listed = wire.search_v2(tracking, {"experiment_ids": ["0"], "max_results": "1"}, ADA)
    assert [one["request_id"] for one in listed["traces"]] == [trace_id]
    tracking.put_bytes("e/0", f"traces/{trace_id}/artifacts/traces.json", b'{"spans": [{"start_time": "x"}]}')
    assert tracking.trace_tree(trace_id).nodes == []


@pytest.fixture
def several(tracking: Any) -> Any:
    for number in range(5):
        more = {
            "state": "ERROR" if number == 3 else "OK",
            "request_time": f"2026-11-21T20:00:0{number}Z",
            "execution_duration": f"{5 - number}s",
            "tags": {"number": str(number), "mlflow.traceName": f"name {number}"},
        }
        wire.start(tracking, told(f"tr-{number:032x}", **more), ADA)
    return tracking


@pytest.mark.parametrize(
    ("where", "order", "numbers"),
    [
        ("", [], "43210"),
        ("", ["timestamp_ms ASC"], "01234"),
        ("", ["execution_time_ms ASC"], "43210"),
        ("status = 'ERROR'", [], "3"),
        ("trace.status != 'ERROR' AND tags.number IN ('1', '3')", [], "1"),
        ("execution_time_ms > 3500", [], "10"),
        ("attributes.name LIKE 'name%' and tags.`number` ILIKE '2'", [], "2"),
        ("attribute.run_id = 'none'", [], ""),
        (f"run_id = '{'a' * 32}' and metadata.`mlflow.sourceRun` IS NOT NULL", ["name"], "01234"),
        ("timestamp_ms >= 1795291202000", [], "432"),
    ],
)
def test_traces_are_found(several: Any, where: str, order: list[str], numbers: str) -> None:
    found, more = several.search_traces([0], where, order)
    assert ("".join(one.tags["number"] for one in found), more) == (numbers, False)


@pytest.mark.parametrize("where", ["color = 'x'", "span.name = 'x'", "status", "tags.a = "])
def test_a_wrong_filter_is_refused(tracking: Any, where: str) -> None:
    with pytest.raises(Invalid):
        tracking.search_traces([0], where)
    with pytest.raises(Invalid):
        tracking.search_traces([0], "", ["color"])


def test_pages_follow_each_other(several: Any) -> None:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    asked: dict[str, Any] = {"locations": [place], "max_results": 2, "order_by": ["timestamp_ms ASC"]}
    numbers, token = "", ""
    while True:
        found = wire.search(several, {**asked, "page_token": token}, ADA)
        numbers += "".join(one["tags"]["number"] for one in found["traces"])
        token = found.get("next_page_token", "")
        if not token:
            break
    assert numbers == "01234"
    with pytest.raises(Invalid):
        wire.search(several, {**asked, "page_token": "x"}, ADA)
    assert wire.search(several, {"locations": []}, ADA) == {"traces": []}


def test_tags_and_deletion(loopline: Any, several: Any) -> None:
    trace_id = f"tr-{3:032x}"
    wire.tag(several, {"trace_id": trace_id, "key": "seen", "value": "yes"}, ADA)
    assert several.trace(trace_id).tags["seen"] == "yes"
    wire.untag(several, {"trace_id": trace_id, "key": "seen"}, ADA)
    for call in (
        lambda: wire.untag(several, {"trace_id": trace_id, "key": "seen"}, ADA),
        lambda: wire.tag(several, {"trace_id": "tr-x", "key": "seen"}, ADA),
        lambda: wire.get(several, {"trace_id": "tr-x"}, ADA),
        lambda: wire.start(several, told(trace_location={"mlflow_experiment": {"experiment_id": "99"}}), ADA),
    ):
        with pytest.raises(NotFound):
            call()
    assert wire.delete(several, {"experiment_id": "0", "request_ids": [trace_id, "tr-x"]}, ADA) == {"traces_deleted": 1}
    oldest = {"experiment_id": "0", "max_timestamp_millis": "1795291202000", "max_traces": "1"}
    assert wire.delete(several, oldest, ADA) == {"traces_deleted": 1}
    assert [one.tags["number"] for one in several.search_traces([0])[0]] == ["4", "2", "1"]
    assert loopline.ledger.since(0)[-1].kind == "traces.deleted"
    with pytest.raises(Invalid, match="not both"):
        wire.delete(several, {"experiment_id": "0"}, ADA)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "FINE"},
        {"execution_duration": "long"},
        {"execution_duration": 5},
        {"request_time": "today"},
        {"trace_id": ""},
        {"trace_id": "a b"},
        {"tags": {"": "x"}},
        {"tags": {"a": 5}},
        {"trace_metadata": [1]},
        {"trace_location": "here"},
        {"request_time": "1900-01-01T00:00:00Z"},
        {"request_time": "0001-01-01T00:00:00+14:00"},
        {"execution_duration": "999999999999s"},
    ],
)
def test_what_is_no_trace_is_refused(tracking: Any, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        wire.start(tracking, told(**change), ADA)
    with pytest.raises(Invalid):
        wire.start(tracking, {"trace": {"trace_info": None}}, ADA)


def test_what_are_no_spans_is_refused(tracking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = message(FIRST, (ROOT, "", "outer", 1_000, 1_100))
    for content, headers in (
        (b"", {}),
        (b"\xff\xff\xff", {}),
        (good, {"content-type": "application/json"}),
        (good, {"x-mlflow-experiment-id": ""}),
        (good, {"x-mlflow-experiment-id": "one"}),
        (good, {"content-encoding": "br"}),
        (good, {"content-encoding": "gzip"}),
        (gzip.compress(bytes(otlp.LARGEST + 1)), {"content-encoding": "gzip"}),
        (bytes(otlp.LARGEST + 1), {}),
        (message("", (ROOT, "", "outer", 1, 2)), {}),
        (message(FIRST, ("", "", "outer", 1, 2)), {}),
    ):
        with pytest.raises(Invalid):
            sent(tracking, tmp_path, content, **headers)
    monkeypatch.setattr(otlp, "MOST_SPANS", 0)
    with pytest.raises(Invalid, match="too many"):
        sent(tracking, tmp_path, good)
    monkeypatch.setattr(otlp, "MOST_SPANS", 10)
    with pytest.raises(NotFound):
        sent(tracking, tmp_path, good, **{"x-mlflow-experiment-id": "99"})


def test_without_the_package_the_way_out_is_told(
    tracking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These words have MLflow's clients keep spans as files instead."""
    for name in [name for name in sys.modules if name.startswith("opentelemetry.proto")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    with pytest.raises(Coded, match="REST OTLP span logging is not supported") as caught:
        sent(tracking, tmp_path, b"")
    assert (caught.value.code, "loopline[traces]" in caught.value.hint) == ("NOT_IMPLEMENTED", True)


def test_nothing_is_traced_in_the_trash(loopline: Any) -> None:
    number = loopline.tracking.start("x", actor="ada", experiment="old").experiment_id
    loopline.tracking.delete_experiment(number, actor="ada")
    with pytest.raises(Conflict):
        wire.start(loopline.tracking, told(trace_location={"mlflow_experiment": {"experiment_id": str(number)}}), ADA)

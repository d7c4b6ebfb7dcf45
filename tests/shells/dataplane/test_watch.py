"""What is told about each answer: lines of JSON and spans."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import Router

from loopline.core.errors import Invalid
from loopline.core.verbs import Caller, Role
from loopline.shells.dataplane import watch as watching
from loopline.shells.dataplane.watch import Lines, Spans, answer_of, watch_of

pytestmark = pytest.mark.integration

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def exchange(**more: Any) -> Any:
    """An exchange that was answered: a prediction of two rows, sent on after 2 ms, 5 ms old."""
    started = 1_000_000_000
    item = SimpleNamespace(arm="live", id="p1", rows=[(), ()], sent_ns=started + 2_000_000)
    given = {
        "path": b"/v1/endpoints/late/predict?x=1", "method": b"POST", "started": started, "item": item,
        "label": SimpleNamespace(endpoint="late", revision=3, version=7), "caller": Caller("ann", Role.VIEWER),
        "headers": {b"traceparent": PARENT.encode()},
    }  # fmt: skip
    return SimpleNamespace(**{**given, **more})


NOW, WALL = 1_005_000_000, 1_700_000_000_000_000_000


def test_an_answer_says_who_what_and_how_long() -> None:
    found = answer_of(exchange(), 200, NOW, WALL)
    assert (found.route, found.endpoint, found.revision, found.version) == (
        "/v1/endpoints/{endpoint}/predict", "late", 3, 7,
    )  # fmt: skip
    assert (found.latency_ms, found.queue_ms, found.model_ms, found.rows) == (5.0, 2.0, 3.0, 2)
    assert (found.caller, found.prediction, found.trace) == ("ann", "p1", TRACE)
    assert found.at == "2023-11-14T22:13:19.995Z"


def test_an_answer_without_a_model_leaves_out_what_it_does_not_know() -> None:
    found = answer_of(exchange(item=None, label=None, caller=None, headers={}, path=b"/x"), 404, NOW, WALL)
    assert (found.endpoint, found.prediction, found.trace, found.queue_ms) == (None, None, None, None)


@pytest.mark.parametrize("header", ["", "no", "00-abc-def-01", "00-" + "z" * 31 + "-1-01"])
def test_a_damaged_traceparent_is_no_trace(header: str) -> None:
    assert answer_of(exchange(headers={b"traceparent": header.encode()}), 200, NOW, WALL).trace is None


def test_lines_beyond_the_bound_are_counted_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_LINES", 2)
    stream = io.StringIO()
    loop = SimpleNamespace(call_later=lambda *_: SimpleNamespace(cancel=lambda: None))
    lines = Lines(loop, None, stream)
    for _ in range(5):
        lines.take(answer_of(exchange(), 200, NOW, WALL))
    lines.close()
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one.get("prediction") for one in told] == ["p1", "p1", None]
    assert told[-1] == {"dropped_lines": 3}


def test_a_span_hangs_under_the_callers_and_holds_waiting_and_predicting() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    Spans(provider).take(answer_of(exchange(), 503, NOW, WALL), PARENT, WALL)
    waited, predicted, request = kept.get_finished_spans()
    assert [waited.name, predicted.name, request.name] == ["wait", "predict", "POST /v1/endpoints/{endpoint}/predict"]
    assert format(request.context.trace_id, "032x") == TRACE
    assert format(request.parent.span_id, "016x") == PARENT.split("-")[2]
    assert (request.end_time - request.start_time, waited.end_time - waited.start_time) == (5_000_000, 2_000_000)
    assert request.attributes["loopline.prediction_id"] == "p1"
    assert not request.status.is_ok
    provider.shutdown()


def test_nothing_is_watched_unless_asked_for() -> None:
    assert watch_of(None, None, {}) is None
    assert watch_of(None, None, {"LOOPLINE_REQUEST_LOG": "0"}) is None
    assert watch_of(None, None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None


def test_spans_without_their_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(Invalid, match="packages for that are not installed"):
        watch_of(None, None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})


class Collector(HTTPServer):
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans: list[Any] = []


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.server.spans.extend(scope.spans)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_is_traced_and_written_down(
    router: Router, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_REQUEST_LOG", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    router.start()
    router.deploy(1)
    status, said = router.ask("POST", "/v1/endpoints/late/predict", {"rows": [ROW]}, traceparent=PARENT)
    assert status == 200
    assert router.stop() == 0
    request = next(span for span in collector.spans if span.name == "POST /v1/endpoints/{endpoint}/predict")
    told = {one.key: one.value.string_value or one.value.int_value for one in request.attributes}
    assert request.trace_id.hex() == TRACE
    assert told["loopline.prediction_id"] == said["ids"][0]
    assert {"wait", "predict"} <= {span.name for span in collector.spans if span.trace_id.hex() == TRACE}
    lines = [json.loads(line) for line in router.log_text().splitlines() if line.startswith("{")]
    line = next(one for one in lines if one.get("prediction") == said["ids"][0])
    assert (line["status"], line["endpoint"], line["arm"], line["trace"]) == (200, "late", "live", TRACE)

"""What may be told about each answer besides counts: a line of JSON, a span of OpenTelemetry, or both.

Off unless asked for by the environment: `LOOPLINE_REQUEST_LOG=1` writes lines to standard output (the log of the data
plane), `OTEL_EXPORTER_OTLP_ENDPOINT` (or the one for traces) sends spans there, with the standard variables of
OpenTelemetry for names, headers and sampling.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from loopline.core.errors import Invalid
from loopline.core.times import to_text

REQUEST_LOG = "LOOPLINE_REQUEST_LOG"
SPANS_TO = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TRACEPARENT = b"traceparent"
FLUSH_S = 0.2
MOST_LINES = 100_000


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answered request. `at` is when its head had been read; `queue_ms` the time until its batch was sent to a
    model's process, `model_ms` the time until that answered. `prediction` is the first row's id."""

    at: str
    method: str
    path: str
    route: str
    status: int
    latency_ms: float
    caller: str | None = None
    endpoint: str | None = None
    revision: int | None = None
    version: int | None = None
    arm: str | None = None
    prediction: str | None = None
    rows: int | None = None
    queue_ms: float | None = None
    model_ms: float | None = None
    trace: str | None = None


def answer_of(exchange: Any, status: int, now_ns: int, wall_ns: int) -> Answer:
    """What an exchange says about itself. `now_ns` on the performance counter, `wall_ns` since 1970: the same moment."""
    spent = now_ns - exchange.started if exchange.started else 0
    item = getattr(exchange, "item", None)
    series = exchange.label
    endpoint = series.endpoint if series is not None else None
    path = exchange.path.split(b"?", 1)[0].decode("ascii", "replace")[:500]
    caller = exchange.caller
    return Answer(
        at=to_text(datetime.fromtimestamp((wall_ns - spent) / 1e9, UTC)),
        method=exchange.method.decode("ascii", "replace"),
        path=path,
        route=path.replace(f"/{endpoint}/", "/{endpoint}/") if endpoint else path,
        status=status,
        latency_ms=round(spent / 1e6, 3),
        caller=caller.name if caller is not None else None,
        endpoint=endpoint,
        revision=series.revision if endpoint else None,
        version=getattr(series, "version", None) if endpoint else None,
        arm=item.arm if item is not None else None,
        prediction=item.id if item is not None else None,
        rows=len(item.rows) if item is not None else None,
        **_times(exchange, item, now_ns),
        trace=_trace_id(exchange),
    )


class Lines:
    """Lines of JSON, gathered and written by another thread: a slow reader of the log stops nobody."""

    def __init__(self, loop: Any, executor: Any, stream: TextIO | None = None) -> None:
        self._loop = loop
        self._executor = executor
        self._stream = stream or sys.stdout
        self._waiting: list[Answer] = []
        self._timer: Any = None
        self._writing = False
        self.dropped = 0

    def take(self, answer: Answer) -> None:
        """Write an answer soon. Beyond a bound lines are dropped and counted, and the log says how many."""
        if len(self._waiting) >= MOST_LINES:
            self.dropped += 1
            return
        self._waiting.append(answer)
        if self._timer is None and not self._writing:
            self._timer = self._loop.call_later(FLUSH_S, self._flush)

    def close(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._write(self._waiting, self.dropped)
        self._waiting = []

    def _flush(self) -> None:
        self._timer, self._writing = None, True
        taken, self._waiting = self._waiting, []
        dropped, self.dropped = self.dropped, 0
        done = self._loop.run_in_executor(self._executor, self._write, taken, dropped)
        done.add_done_callback(self._written)

    def _written(self, done: Any) -> None:
        done.exception()
        self._writing = False
        if self._waiting:
            self._timer = self._loop.call_later(FLUSH_S, self._flush)

    def _write(self, answers: list[Answer], dropped: int) -> None:
        lines = [msgspec.json.encode(answer).decode() for answer in answers]
        lines += [msgspec.json.encode({"dropped_lines": dropped}).decode()] if dropped else []
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()


class Spans:
    """Spans of OpenTelemetry: one for the request, under the caller's where it sent `traceparent`, with one for waiting
    and one for the model. They follow the conventions for HTTP servers; sending happens in a thread of the library."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("loopline.dataplane")
        self._server = SpanKind.SERVER
        self._extract = TraceContextTextMapPropagator().extract

    def take(self, answer: Answer, traceparent: str | None, ended_ns: int) -> None:
        """Record an answer whose request ended at `ended_ns` since 1970."""
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.status import Status, StatusCode

        parent = self._extract({"traceparent": traceparent}) if traceparent else None
        began = ended_ns - round(answer.latency_ms * 1e6)
        span = self._tracer.start_span(
            f"{answer.method} {answer.route}", parent, self._server, attributes=_attributes(answer), start_time=began
        )
        if span.is_recording() and answer.queue_ms is not None and answer.model_ms is not None:
            inside = set_span_in_context(span)
            sent = ended_ns - round(answer.model_ms * 1e6)
            waited = self._tracer.start_span("wait", inside, start_time=sent - round(answer.queue_ms * 1e6))
            waited.end(sent)
            self._tracer.start_span("predict", inside, start_time=sent).end(ended_ns)
        if answer.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended_ns)

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        self._provider.force_flush(3000)
        self._provider.shutdown()


class Watch:
    """Tells each answer to whoever asked for it."""

    def __init__(self, lines: Lines | None, spans: Spans | None) -> None:
        self._lines = lines
        self._spans = spans

    def answered(self, exchange: Any, status: int) -> None:
        """One request was answered; called on the loop."""
        wall = time.time_ns()
        answer = answer_of(exchange, status, time.perf_counter_ns(), wall)
        if self._lines is not None:
            self._lines.take(answer)
        if self._spans is not None:
            self._spans.take(answer, _traceparent(exchange), wall)

    def close(self) -> None:
        """Let go of what waits."""
        if self._lines is not None:
            self._lines.close()
        if self._spans is not None:
            self._spans.close()


def watch_of(
    loop: Any, executor: Any, environ: Mapping[str, str] = os.environ, provider: Callable[[], Any] | None = None
) -> Watch | None:
    """What the environment asks for; None when it asks for nothing. Invalid when the packages for spans are missing."""
    lines = Lines(loop, executor) if environ.get(REQUEST_LOG, "") not in ("", "0") else None
    wanted = any(environ.get(name) for name in SPANS_TO) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
    spans = Spans((provider or _provider)()) if wanted else None
    return Watch(lines, spans) if lines is not None or spans is not None else None


def _provider() -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise Invalid(
            "Spans shall be sent (OTEL_EXPORTER_OTLP_ENDPOINT is set), and the packages for that are not installed.",
            "Install them with `pip install 'loopline[otel]'`, or unset the variable.",
        ) from None
    name = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "loopline-serving"}
    provider = TracerProvider(resource=Resource.create(name))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _attributes(answer: Answer) -> dict[str, Any]:
    given = {
        "http.request.method": answer.method, "http.route": answer.route, "url.path": answer.path, "url.scheme": "http",
        "http.response.status_code": answer.status, "enduser.id": answer.caller, "loopline.endpoint": answer.endpoint,
        "loopline.revision": answer.revision, "loopline.version": answer.version, "loopline.arm": answer.arm,
        "loopline.prediction_id": answer.prediction, "loopline.rows": answer.rows,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def _times(exchange: Any, item: Any, now_ns: int) -> dict[str, float | None]:
    sent = getattr(item, "sent_ns", 0)
    if not sent or not exchange.started:
        return {"queue_ms": None, "model_ms": None}
    return {"queue_ms": round((sent - exchange.started) / 1e6, 3), "model_ms": round((now_ns - sent) / 1e6, 3)}


def _traceparent(exchange: Any) -> str | None:
    found = getattr(exchange, "headers", {}).get(TRACEPARENT)
    return found.decode("ascii", "replace") if found else None


def _trace_id(exchange: Any) -> str | None:
    """The caller's trace, from `traceparent` (version-trace-span-flags); None when it sent none that can be read."""
    parts = (_traceparent(exchange) or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else None

"""A trace as a tree of spans that people read: what went in and came out of each, and when."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import LooplineError
from loopline.usecases.tracking import otlp
from loopline.usecases.tracking.file_rows import one as file_row
from loopline.usecases.tracking.files import place
from loopline.usecases.tracking.trace_rows import Span, Trace
from loopline.usecases.tracking.traces import PLACE_TAG, Traces, tree

INPUTS, OUTPUTS, OWN = "mlflow.spanInputs", "mlflow.spanOutputs", ("mlflow.traceRequestId", "mlflow.spanType")
LARGEST_FILE = 16 << 20
MOST_SPANS = 2_000
FILE = "traces.json"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A span in its tree. `start_ms` counts from the trace's first span; `left` and `width` are shares of its time."""

    depth: int
    id: str
    name: str
    type: str
    status: str
    start_ms: float
    duration_ms: float | None
    left: float
    width: float
    inputs: Any = None
    outputs: Any = None
    attributes: dict[str, Any] = {}
    events: list[tuple[str, dict[str, Any]]] = []


class TraceTree(msgspec.Struct, frozen=True, kw_only=True):
    """A trace with its spans in the order of the tree; `more` counts those that are left out."""

    trace: Trace
    nodes: list[Node]
    more: int = 0


class Trees(Traces):
    """Traces as people look at them."""

    def trace_tree(self, trace_id: str) -> TraceTree:
        """A trace with its spans, also of those that a client kept as a file; NotFound."""
        found = self.trace(trace_id)
        spans = self.spans_of([found.id]).get(found.id, []) or self._from_file(found)
        placed = tree(spans)
        begin = min((one.start_ns for one in spans), default=0)
        whole = max((max(one.end_ns, one.start_ns) for one in spans), default=0) - begin
        nodes = [node(depth, one, begin, whole) for depth, one in placed[:MOST_SPANS]]
        return TraceTree(trace=found, nodes=nodes, more=len(placed) - len(nodes))

    def _from_file(self, trace: Trace) -> list[Span]:
        """Spans that a client kept as an artifact, as clients of 2.x do."""
        name = trace.tags.get(PLACE_TAG, "").removeprefix("mlflow-artifacts:/")
        try:
            found = place(f"{name}/{FILE}") if name else None
            row = self._database.read(lambda tx: file_row(tx, *found)) if found else None
            if row is None or row.size > LARGEST_FILE:
                return []
            told = msgspec.json.decode(self._blobs.get(row.digest))
            return [span_of_file(trace.id, one) for one in told["spans"]]
        except (LooplineError, msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError):
            return []


def node(depth: int, span: Span, begin: int, whole: int) -> Node:
    """A span as it is shown."""
    attributes = {key: parsed(value) for key, value in otlp.attributes(span.content).items()}
    lasted = span.end_ns - span.start_ns if span.end_ns else None
    return Node(
        depth=depth,
        id=span.span_id,
        name=span.name,
        type="" if span.type == "UNKNOWN" else span.type,
        status=span.status,
        start_ms=(span.start_ns - begin) / 1e6,
        duration_ms=None if lasted is None else max(lasted, 0) / 1e6,
        left=(span.start_ns - begin) / whole if whole else 0.0,
        width=max(lasted or 0, 0) / whole if whole else 1.0,
        inputs=attributes.pop(INPUTS, None),
        outputs=attributes.pop(OUTPUTS, None),
        attributes={key: value for key, value in attributes.items() if key not in OWN},
        events=[(name, about) for name, about in otlp.events(span.content)],
    )


def parsed(value: Any) -> Any:
    """A value that may be JSON in a text."""
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def span_of_file(trace_id: str, told: Mapping[str, Any]) -> Span:
    """A span of a client's file: of 3.x, or of 2.x (`context`, `start_time`, `status_code`)."""
    context = told.get("context") or {}
    code = told.get("status_code") or (told.get("status") or {}).get("code") or ""
    attributes = dict(told.get("attributes") or {})
    rows = [{"key": key, "value": {"string_value": text_of(value)}} for key, value in attributes.items()]
    return Span(
        trace_id=trace_id,
        span_id=hexed(told.get("span_id") or context.get("span_id")),
        parent_id=hexed(told.get("parent_span_id") or told.get("parent_id")),
        name=str(told.get("name", "")),
        type=str(parsed(attributes.get(otlp.TYPE, ""))),
        status=str(code).removeprefix("STATUS_CODE_") or "UNSET",
        start_ns=int(told.get("start_time_unix_nano") or told.get("start_time") or 0),
        end_ns=int(told.get("end_time_unix_nano") or told.get("end_time") or 0),
        content={"attributes": rows, "events": []},
    )


def text_of(value: Any) -> str:
    """An attribute as a text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def hexed(value: Any) -> str:
    """An id in hexadecimal digits, which may come in base64; nothing for none."""
    text = str(value or "").removeprefix("0x")
    if not text or set(text.lower()) <= set("0123456789abcdef"):
        return text.lower()
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return text

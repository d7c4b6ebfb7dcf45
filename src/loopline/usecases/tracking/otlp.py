"""Spans as the OpenTelemetry protocol sends them (OTLP 1.x, protobuf over HTTP).

Source: https://opentelemetry.io/docs/specs/otlp/. The messages' classes come from the package opentelemetry-proto.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Invalid, Unavailable
from loopline.usecases.tracking.trace_rows import Span

LARGEST = 16 << 20
MOST_SPANS = 10_000
LATEST_NS = 2**63 - 1
STATUSES = {"STATUS_CODE_OK": "OK", "STATUS_CODE_ERROR": "ERROR"}
TYPE = "mlflow.spanType"


def spans_in(path: Path, encoding: str = "") -> list[Span]:
    """The spans in a body. Unavailable when the package is missing, Invalid for what is no such message, too large, or
    holds too many spans."""
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        raise Unavailable(
            "REST OTLP span logging is not supported: the package opentelemetry-proto is missing.",
            "pip install 'loopline[traces]'",
        ) from None
    content = body_of(path, encoding)
    message = ExportTraceServiceRequest()
    try:
        message.ParseFromString(content)
        count = sum(len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans)
        if count > MOST_SPANS:
            raise Invalid(f"{count} spans at once are too many.", f"Send at most {MOST_SPANS}.")
        told = [
            MessageToDict(span, preserving_proto_field_name=True)
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    except (DecodeError, ValueError, RecursionError) as error:
        raise Invalid(f"The body is no OTLP message ({type(error).__name__}).", "Send protobuf over HTTP.") from None
    return [span_of(one) for one in told]


def body_of(path: Path, encoding: str) -> bytes:
    """The body, unpacked."""
    if path.stat().st_size > LARGEST:
        raise Invalid(f"A body of {path.stat().st_size} bytes is too large.", f"Send at most {LARGEST} bytes.")
    content = path.read_bytes()
    if encoding in ("", "identity"):
        return content
    if encoding not in ("gzip", "deflate"):
        raise Invalid(f"Bodies packed by {encoding[:40]!r} are not read.", "Pack by gzip, or not at all.")
    try:
        unpacking = zlib.decompressobj(47)  # gzip and zlib alike
        found = unpacking.decompress(content, LARGEST + 1)
    except zlib.error:
        raise Invalid("The body cannot be unpacked.", "Pack it by gzip.") from None
    if len(found) > LARGEST:
        raise Invalid("The unpacked body is too large.", f"Send at most {LARGEST} bytes.")
    return found


def span_of(told: Mapping[str, Any]) -> Span:
    """A span of a message; Invalid without ids."""
    trace_id, span_id = (base64.b64decode(told.get(name, "")).hex() for name in ("trace_id", "span_id"))
    if len(trace_id) != 32 or len(span_id) != 16:
        raise Invalid("A span has no valid trace_id and span_id.", "They are 16 and 8 bytes long.")
    times = [int(told.get(name, 0)) for name in ("start_time_unix_nano", "end_time_unix_nano")]
    if any(time > LATEST_NS for time in times):
        raise Invalid("A span's time is out of range.", "Give nanoseconds since 1970.")
    return Span(
        trace_id=f"tr-{trace_id}",
        span_id=span_id,
        parent_id=base64.b64decode(told.get("parent_span_id", "")).hex(),
        name=str(told.get("name", ""))[:1000],
        type=str(attributes(told).get(TYPE, ""))[:100],
        status=STATUSES.get(told.get("status", {}).get("code", ""), "UNSET"),
        start_ns=times[0],
        end_ns=times[1],
        content=dict(told),
    )


def attributes(told: Mapping[str, Any]) -> dict[str, Any]:
    """A span's attributes as plain values."""
    return {row["key"]: plain(row.get("value", {})) for row in told.get("attributes", ())}


def plain(value: Mapping[str, Any]) -> Any:
    """An AnyValue as a plain value."""
    for kind, found in value.items():
        if kind == "kvlist_value":
            return {row["key"]: plain(row.get("value", {})) for row in found.get("values", ())}
        if kind == "array_value":
            return [plain(one) for one in found.get("values", ())]
        return int(found) if kind == "int_value" else found
    return None


def events(told: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A span's events with their attributes."""
    for one in told.get("events", ()):
        yield str(one.get("name", "")), attributes(one)

"""MLflow's routes for traces: those of 3.x, those that 2.x clients speak, and OpenTelemetry's for spans."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loopline.core import fields as read
from loopline.core.errors import Invalid, Unavailable
from loopline.core.ids import new_id
from loopline.core.times import from_ms, to_ms
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Coded, Raw, Route
from loopline.usecases.tracking import otlp
from loopline.usecases.tracking.trace_rows import Span, Trace

Values = dict[str, Any]
EXPERIMENT_HEADER = "x-mlflow-experiment-id"
MOST = 500
_DURATION = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?s\Z")


def spans(tracking: Any, fields: Values, caller: Caller) -> Raw:
    """Spans in OpenTelemetry's protobuf form."""
    headers = fields["headers"]
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-protobuf":
        raise Invalid(f"Invalid Content-Type: {kind[:80]}.", "Expected: application/x-protobuf.")
    number = headers.get(EXPERIMENT_HEADER, "")
    if not number.isdecimal():
        raise Invalid(f"The header {EXPERIMENT_HEADER} names no experiment.", "Send the experiment's id in it.")
    try:
        found = otlp.spans_in(fields["body"], headers.get("content-encoding", "").lower())
    except Unavailable as error:
        raise Coded(error, "NOT_IMPLEMENTED") from None
    if not found:
        raise Invalid("Invalid OpenTelemetry format - no spans found.", "Send at least one span.")
    tracking.put_spans(int(number), found)
    return Raw(b"", "application/x-protobuf")


def start(tracking: Any, fields: Values, caller: Caller) -> Values:
    """Tell of a trace, at its end; 2.x clients do it at its beginning, with other fields."""
    if fields.get("trace") is None:
        return {"trace_info": info_v2(tracking.put_trace(begun(fields)))}
    told = mapping(fields["trace"], "trace")
    return {"trace": {"trace_info": info(tracking.put_trace(trace_of(mapping(told.get("trace_info"), "trace_info"))))}}


def end(tracking: Any, fields: Values, caller: Caller) -> Values:
    """The end of a trace that a 2.x client began."""
    known = tracking.trace(fields["trace_id"])
    ended = read.whole(fields, "timestamp_ms", known.started_ms)
    changed = msgspec.structs.replace(
        known,
        state=state_of(read.text(fields, "status", default="OK")),
        duration_ms=max(ended - known.started_ms, 0),
        tags={**known.tags, **read.pairs(fields, "tags")},
        metadata={**known.metadata, **read.pairs(fields, "request_metadata")},
    )
    return {"trace_info": info_v2(tracking.put_trace(changed))}


def get(tracking: Any, fields: Values, caller: Caller) -> Values:
    """A trace without its spans."""
    return {"trace": {"trace_info": info(tracking.trace(fields["trace_id"]))}}


def get_v2(tracking: Any, fields: Values, caller: Caller) -> Values:
    """A trace without its spans, as 2.x clients ask for it."""
    return {"trace_info": info_v2(tracking.trace(fields["trace_id"]))}


def whole(tracking: Any, fields: Values, caller: Caller) -> Values:
    """A trace with its spans."""
    found = tracking.trace(read.required(fields, "trace_id"))
    return {"trace": with_spans(found, tracking.spans_of([found.id]))}


def several(tracking: Any, fields: Values, caller: Caller) -> Values:
    """Traces with their spans."""
    ids = few(read.texts(fields, "trace_ids"))
    of_traces = tracking.spans_of(ids)
    return {"traces": [with_spans(one, of_traces) for one in tracking.traces_of(ids)]}


def infos(tracking: Any, fields: Values, caller: Caller) -> Values:
    """Traces without their spans."""
    return {"trace_infos": [info(one) for one in tracking.traces_of(few(read.texts(fields, "trace_ids")))]}


def search(tracking: Any, fields: Values, caller: Caller) -> Values:
    """Traces of experiments."""
    places = [mapping(one, "locations").get("mlflow_experiment") or {} for one in read.listed(fields, "locations")]
    ids = [read.text(mapping(one, "mlflow_experiment"), "experiment_id") for one in places if one]
    found, more = searched(tracking, fields, ids)
    return {"traces": [info(one) for one in found], **more}


def search_v2(tracking: Any, fields: Values, caller: Caller) -> Values:
    """Traces of experiments, as 2.x clients ask for them."""
    found, more = searched(tracking, fields, read.texts(fields, "experiment_ids"))
    return {"traces": [info_v2(one) for one in found], **more}


def tag(tracking: Any, fields: Values, caller: Caller) -> Values:
    tracking.tag_trace(fields["trace_id"], read.required(fields, "key"), read.text(fields, "value", default=""))
    return {}


def untag(tracking: Any, fields: Values, caller: Caller) -> Values:
    tracking.untag_trace(fields["trace_id"], read.required(fields, "key"))
    return {}


def delete(tracking: Any, fields: Values, caller: Caller) -> Values:
    """Delete traces by id, or the oldest of an experiment."""
    number = experiment_number(read.required(fields, "experiment_id"))
    ids = read.texts(fields, "request_ids") or read.texts(fields, "trace_ids")
    until = read.given(fields, "max_timestamp_millis")
    if bool(ids) == (until is not None):
        raise Invalid("Either `max_timestamp_millis` or `trace_ids` must be specified, but not both.", "Give one.")
    most = read.whole(fields, "max_traces", least=1) if read.given(fields, "max_traces") is not None else None
    until_ms = read.whole(fields, "max_timestamp_millis") if until is not None else None
    return {"traces_deleted": tracking.delete_traces(number, caller.name, ids, until_ms, most)}


def searched(tracking: Any, fields: Values, ids: Sequence[str]) -> tuple[list[Trace], Values]:
    """A page of traces and the token of the next one."""
    where, orders = read.text(fields, "filter", default=""), read.texts(fields, "order_by")
    limit = read.whole(fields, "max_results", 100, 1, MOST)
    query = (sorted(ids), where, orders)
    offset = read.offset_of(read.text(fields, "page_token", default=""), *query)
    numbers = [int(one) for one in ids if one.isdecimal() and len(one) < 19]
    found, more = tracking.search_traces(numbers, where, orders, limit, offset)
    return found, {"next_page_token": read.token_of(offset + limit, *query)} if more else {}


def trace_of(told: Mapping[str, Any]) -> Trace:
    """A trace as a 3.x client tells it."""
    place = mapping(told.get("trace_location") or {}, "trace_location")
    where = mapping(place.get("mlflow_experiment") or {}, "mlflow_experiment")
    duration = told.get("execution_duration")
    return Trace(
        id=read.required(told, "trace_id"),
        experiment_id=experiment_number(read.text(where, "experiment_id", default="0")),
        name="",
        state=state_of(read.text(told, "state", default="STATE_UNSPECIFIED")),
        started_ms=moment(read.text(told, "request_time", default="1970-01-01T00:00:00Z")),
        duration_ms=None if duration is None else milliseconds(duration),
        client_request_id=read.text(told, "client_request_id", default=""),
        request_preview=read.text(told, "request_preview", default=""),
        response_preview=read.text(told, "response_preview", default=""),
        tags=texts(told, "tags"),
        metadata=texts(told, "trace_metadata"),
    )


def begun(fields: Values) -> Trace:
    """A trace as a 2.x client begins it."""
    return Trace(
        id=f"tr-{new_id()}",
        experiment_id=experiment_number(read.required(fields, "experiment_id")),
        name="",
        state="IN_PROGRESS",
        started_ms=read.whole(fields, "timestamp_ms"),
        tags=read.pairs(fields, "tags"),
        metadata=read.pairs(fields, "request_metadata"),
    )


def with_spans(trace: Trace, of_traces: Mapping[str, Sequence[Span]]) -> Values:
    """A trace with its spans as they were sent."""
    return {"trace_info": info(trace), "spans": [one.content for one in of_traces.get(trace.id, ())]}


def info(trace: Trace) -> Values:
    """A trace as 3.x clients read it."""
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": str(trace.experiment_id)}}
    told = {
        "client_request_id": trace.client_request_id,
        "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
        "execution_duration": None if trace.duration_ms is None else f"{trace.duration_ms / 1000:.3f}s",
    }
    return {
        "trace_id": trace.id,
        "trace_location": where,
        "request_time": from_ms(trace.started_ms),
        "state": trace.state,
        "trace_metadata": trace.metadata,
        "tags": trace.tags,
        **{name: value for name, value in told.items() if value},
    }


def info_v2(trace: Trace) -> Values:
    """A trace as 2.x clients read it."""
    unsaid = "TRACE_STATUS_UNSPECIFIED"
    return {
        "request_id": trace.id,
        "experiment_id": str(trace.experiment_id),
        "timestamp_ms": trace.started_ms,
        "execution_time_ms": trace.duration_ms or 0,
        "status": unsaid if trace.state == "STATE_UNSPECIFIED" else trace.state,
        "request_metadata": [{"key": key, "value": value} for key, value in trace.metadata.items()],
        "tags": [{"key": key, "value": value} for key, value in trace.tags.items()],
    }


def state_of(word: str) -> str:
    """A state by the name that either client has for it."""
    return "STATE_UNSPECIFIED" if word == "TRACE_STATUS_UNSPECIFIED" else word


def moment(text: str) -> int:
    """A time as milliseconds; Invalid for what is none, or lies beyond the calendar."""
    try:
        return to_ms(text)
    except (OverflowError, OSError):
        raise read.wrong("request_time", text) from None


def milliseconds(duration: Any) -> int:
    """A protobuf duration as milliseconds; Invalid for anything else."""
    found = _DURATION.match(duration) if isinstance(duration, str) else None
    if found is None:
        raise read.wrong("execution_duration", duration)
    return int(found[1]) * 1000 + int((found[2] or "0").ljust(9, "0")) // 1_000_000


def experiment_number(text: str) -> int:
    """The number of an experiment; -1 for what is none, so that it is not found."""
    return int(text) if text.isdecimal() and len(text) < 19 else -1


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """A message's part; Invalid when it is none."""
    if isinstance(value, Mapping):
        return value
    raise read.missing(name) if value is None else read.wrong(name, value)


def texts(told: Mapping[str, Any], name: str) -> dict[str, str]:
    """A map of texts."""
    return {
        read.checked_text(name, key): read.checked_text(name, value)
        for key, value in mapping(told.get(name) or {}, name).items()
    }


def few(ids: list[str]) -> list[str]:
    """Not too many ids."""
    if len(ids) > MOST:
        raise Invalid(f"{len(ids)} traces at once are too many.", f"Ask for at most {MOST}.")
    return ids


ROUTES = (
    Route("POST", "/v1/traces", Role.EDITOR, spans, file=True),
    Route("POST", "traces", Role.EDITOR, start),
    Route("GET", "traces", Role.VIEWER, search_v2),
    Route("GET", "traces/get", Role.VIEWER, whole),
    Route("GET", "traces/batchGet", Role.VIEWER, several),
    Route("POST", "traces/batchGetInfos", Role.VIEWER, infos),
    Route("POST", "traces/search", Role.VIEWER, search),
    Route("POST", "traces/delete-traces", Role.EDITOR, delete),
    Route("GET", "traces/{trace_id}", Role.VIEWER, get),
    Route("PATCH", "traces/{trace_id}", Role.EDITOR, end),
    Route("GET", "traces/{trace_id}/info", Role.VIEWER, get_v2),
    Route("PATCH", "traces/{trace_id}/tags", Role.EDITOR, tag),
    Route("DELETE", "traces/{trace_id}/tags", Role.EDITOR, untag),
)

"""Rows of traces and spans: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.store import marked, parts

_COLUMNS = (
    "id, experiment_id, name, state, started_ms, duration_ms, client_request_id, request_preview, response_preview"
)
_TOLD = f"""INSERT INTO tracking_traces ({_COLUMNS}, told) VALUES (:id, :experiment_id, :name, :state, :started_ms,
 :duration_ms, :client_request_id, :request_preview, :response_preview, 1) ON CONFLICT (id) DO UPDATE SET
 name = excluded.name, state = excluded.state, started_ms = excluded.started_ms, duration_ms = excluded.duration_ms,
 client_request_id = excluded.client_request_id, request_preview = excluded.request_preview,
 response_preview = excluded.response_preview, told = 1"""
_GUESSED = """INSERT INTO tracking_traces (id, experiment_id, name, state, started_ms, duration_ms) VALUES (:id,
 :experiment_id, :name, :state, :started_ms, :duration_ms) ON CONFLICT (id) DO NOTHING"""
_GROWN = """UPDATE tracking_traces SET name = CASE WHEN :name = '' THEN name ELSE :name END, state = :state,
 started_ms = :started_ms, duration_ms = :duration_ms WHERE id = :id AND told = 0"""
_PUT_TEXT = """INSERT INTO tracking_trace_{} (trace_id, key, value) VALUES (:trace_id, :key, :value)
 ON CONFLICT (trace_id, key) DO UPDATE SET value = excluded.value"""
_PUT_SPAN = """INSERT INTO tracking_spans (trace_id, span_id, parent_id, name, type, status, start_ns, end_ns, content)
 VALUES (:trace_id, :span_id, :parent_id, :name, :type, :status, :start_ns, :end_ns, :content)
 ON CONFLICT (trace_id, span_id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name,
 type = excluded.type, status = excluded.status, start_ns = excluded.start_ns, end_ns = excluded.end_ns,
 content = excluded.content"""
TABLES = ("tracking_spans", "tracking_trace_tags", "tracking_trace_metadata")


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What one request did. `state` is OK, ERROR, IN_PROGRESS or STATE_UNSPECIFIED; times are milliseconds."""

    id: str
    experiment_id: int
    name: str
    state: str
    started_ms: int
    duration_ms: int | None = None
    client_request_id: str = ""
    request_preview: str = ""
    response_preview: str = ""
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a trace; times are nanoseconds since 1970 UTC, `end_ns` 0 while it lasts. `content` is the span as
    OpenTelemetry's JSON tells it (snake case, ids in base64)."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    type: str
    status: str
    start_ns: int
    end_ns: int
    content: dict[str, Any]


def put(tx: Transaction, trace: Trace) -> None:
    """A trace as its client tells it; what spans said before is replaced."""
    row = msgspec.structs.asdict(trace)
    tx.run(_TOLD, {name: row[name] for name in _COLUMNS.split(", ")})
    put_texts(tx, "tags", trace.id, trace.tags)
    put_texts(tx, "metadata", trace.id, trace.metadata)


def put_spans(tx: Transaction, spans: Iterable[Span]) -> None:
    """Spans; one that comes again replaces what was known."""
    rows = [{**msgspec.structs.asdict(one), "content": msgspec.json.encode(one.content).decode()} for one in spans]
    tx.run_many(_PUT_SPAN, rows)


def guess(tx: Transaction, row: Mapping[str, Any]) -> None:
    """A trace of which so far only spans came."""
    tx.run(_GUESSED, row)


def grow(tx: Transaction, row: Mapping[str, Any]) -> None:
    """What more spans say of a trace that no client told of."""
    tx.run(_GROWN, row)


def put_texts(tx: Transaction, table: str, trace_id: str, values: Mapping[str, str]) -> None:
    """Set tags or metadata; `table` is one of these two words."""
    if values:
        rows = [{"trace_id": trace_id, "key": key, "value": value} for key, value in values.items()]
        tx.run_many(_PUT_TEXT.format(table), rows)


def drop_tag(tx: Transaction, trace_id: str, key: str) -> bool:
    """Take a tag off; False when there was none."""
    statement = "DELETE FROM tracking_trace_tags WHERE trace_id = :id AND key = :key"
    return tx.run(statement, {"id": trace_id, "key": key}) > 0


def bare(tx: Transaction, trace_id: str) -> Row | None:
    """The row of a trace alone."""
    return tx.row(f"SELECT {_COLUMNS} FROM tracking_traces WHERE id = :id", {"id": trace_id})


def newest(tx: Transaction, experiments: Sequence[int], limit: int, offset: int) -> list[Row]:
    """Rows of traces of experiments, newest first."""
    marks, params = marked(experiments)
    return tx.rows(
        f"""SELECT {_COLUMNS} FROM tracking_traces WHERE experiment_id IN ({marks})
        ORDER BY started_ms DESC, id LIMIT :limit OFFSET :offset""",
        {**params, "limit": limit, "offset": offset},
    )


def of_ids(tx: Transaction, ids: Sequence[str]) -> list[Trace]:
    """The traces with these ids, in this order; unknown ones are left out."""
    found: dict[str, Row] = {}
    for part in parts(ids):
        marks, params = marked(part)
        rows = tx.rows(f"SELECT {_COLUMNS} FROM tracking_traces WHERE id IN ({marks})", params)
        found.update((row["id"], row) for row in rows)
    return whole(tx, [found[one] for one in ids if one in found])


def whole(tx: Transaction, rows: Sequence[Row]) -> list[Trace]:
    """Rows with their tags and metadata."""
    ids = [row["id"] for row in rows]
    tags, metadata = texts(tx, "tags", ids), texts(tx, "metadata", ids)
    return [Trace(**row, tags=tags.get(row["id"], {}), metadata=metadata.get(row["id"], {})) for row in rows]


def texts(tx: Transaction, table: str, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Tags or metadata by trace."""
    found: dict[str, dict[str, str]] = {}
    for part in parts(ids):
        marks, params = marked(part)
        statement = f"SELECT trace_id, key, value FROM tracking_trace_{table} WHERE trace_id IN ({marks})"
        for row in tx.rows(statement, params):
            found.setdefault(row["trace_id"], {})[row["key"]] = row["value"]
    return found


def spans(tx: Transaction, ids: Sequence[str]) -> dict[str, list[Span]]:
    """The spans of traces, each by its start."""
    found: dict[str, list[Span]] = {}
    for part in parts(ids):
        marks, params = marked(part)
        where = f"trace_id IN ({marks}) ORDER BY start_ns, span_id"
        for row in tx.rows(f"SELECT * FROM tracking_spans WHERE {where}", params):
            one = Span(**{**row, "content": msgspec.json.decode(row["content"])})
            found.setdefault(one.trace_id, []).append(one)
    return found


def span_count(tx: Transaction, trace_id: str) -> int:
    """How many spans of a trace came."""
    row = tx.row("SELECT COUNT(*) AS spans FROM tracking_spans WHERE trace_id = :id", {"id": trace_id})
    return int(row["spans"]) if row else 0


def forget(tx: Transaction, ids: Sequence[str]) -> None:
    """Drop traces with all that belongs to them."""
    for part in parts(ids):
        marks, params = marked(part)
        for table in TABLES:
            tx.run(f"DELETE FROM {table} WHERE trace_id IN ({marks})", params)
        tx.run(f"DELETE FROM tracking_traces WHERE id IN ({marks})", params)

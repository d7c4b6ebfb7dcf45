"""Windows and summaries of evaluations: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.monitoring.model import Summary, Window

_WINDOW = "start_at, end_at, column_name, value, predictions, labelled, complete, mature, metrics, quality"
PUT_WINDOW = (
    "INSERT INTO monitoring_windows (endpoint, start_at, end_at, column_name, value, predictions, labelled, complete,"
    " mature, metrics, quality, fingerprint, changed_at) VALUES (:endpoint, :start_at, :end_at, :column_name, :value,"
    " :predictions, :labelled, :complete, :mature, :metrics, :quality, :fingerprint, :changed_at)"
    " ON CONFLICT (endpoint, start_at, column_name, value) DO UPDATE SET end_at = excluded.end_at,"
    " predictions = excluded.predictions, labelled = excluded.labelled, complete = excluded.complete,"
    " mature = excluded.mature, metrics = excluded.metrics, quality = excluded.quality,"
    " fingerprint = excluded.fingerprint, changed_at = excluded.changed_at"
)
DROP_WINDOW = (
    "DELETE FROM monitoring_windows WHERE endpoint = :endpoint AND start_at = :start_at"
    " AND column_name = :column_name AND value = :value"
)
WINDOWS = f"SELECT {_WINDOW}, fingerprint FROM monitoring_windows WHERE endpoint = :endpoint"
SUMMARIES = "SELECT endpoint, mark, summary, evaluated_at FROM monitoring_endpoints"
PUT_SUMMARY = (
    "INSERT INTO monitoring_endpoints (endpoint, mark, summary, evaluated_at)"
    " VALUES (:endpoint, :mark, :summary, :evaluated_at) ON CONFLICT (endpoint) DO UPDATE SET mark = excluded.mark,"
    " summary = excluded.summary, evaluated_at = excluded.evaluated_at"
)


def windows(tx: Transaction, endpoint: str) -> list[tuple[str, Window]]:
    """All windows of an endpoint with their fingerprints, oldest first."""
    rows = tx.rows(f"{WINDOWS} ORDER BY start_at, column_name, value", {"endpoint": endpoint})
    return [(row["fingerprint"], _window(row)) for row in rows]


def windows_of(tx: Transaction, endpoint: str, column: str, since: str, until: str) -> list[Window]:
    """Windows of one column ('' for the whole) that start within [since, until); '' leaves a bound open."""
    where = " AND column_name = :column AND start_at >= :since AND start_at < :until ORDER BY start_at, value"
    params = {"endpoint": endpoint, "column": column, "since": since, "until": until or "9999"}
    return [_window(row) for row in tx.rows(WINDOWS + where, params)]


def put_windows(tx: Transaction, endpoint: str, changed: Iterable[tuple[str, Window]], at: str) -> None:
    """Write windows, replacing what stood there."""
    tx.run_many(PUT_WINDOW, [_window_row(endpoint, mark, window, at) for mark, window in changed])


def drop_windows(tx: Transaction, endpoint: str, gone: Iterable[tuple[str, str, str]]) -> None:
    """Remove windows by (start, column, value): the monitor cuts time or slices differently now."""
    for start, column, value in gone:
        tx.run(DROP_WINDOW, {"endpoint": endpoint, "start_at": start, "column_name": column, "value": value})


def summary(tx: Transaction, endpoint: str) -> tuple[str, Summary] | None:
    """(mark of the logs, summary) as last evaluated."""
    row = tx.row(f"{SUMMARIES} WHERE endpoint = :endpoint", {"endpoint": endpoint})
    return None if row is None else (row["mark"], msgspec.json.decode(row["summary"], type=Summary))


def summaries(tx: Transaction) -> list[Summary]:
    """All summaries by endpoint."""
    return [msgspec.json.decode(row["summary"], type=Summary) for row in tx.rows(f"{SUMMARIES} ORDER BY endpoint")]


def evaluated_at(tx: Transaction) -> dict[str, str]:
    """When each endpoint was evaluated last."""
    return {row["endpoint"]: row["evaluated_at"] for row in tx.rows(SUMMARIES)}


def put_summary(tx: Transaction, summary: Summary, mark: str, at: str) -> None:
    """Write the summary of an evaluation."""
    text = msgspec.json.encode(summary).decode()
    tx.run(PUT_SUMMARY, {"endpoint": summary.endpoint, "mark": mark, "summary": text, "evaluated_at": at})


def forget(tx: Transaction, endpoint: str) -> None:
    """Remove all that was measured of predictions which are there no more; alerts stay."""
    for table in ("windows", "drift", "estimates", "endpoints"):
        tx.run(f"DELETE FROM monitoring_{table} WHERE endpoint = :endpoint", {"endpoint": endpoint})


def _window(row: Row) -> Window:
    return Window(
        start=row["start_at"],
        end=row["end_at"],
        column=row["column_name"],
        value=row["value"],
        predictions=row["predictions"],
        labelled=row["labelled"],
        complete=bool(row["complete"]),
        mature=bool(row["mature"]),
        metrics=msgspec.json.decode(row["metrics"]),
        quality=msgspec.json.decode(row["quality"]),
    )


def _window_row(endpoint: str, mark: str, window: Window, at: str) -> dict[str, Any]:
    row: dict[str, Any] = {"endpoint": endpoint, "start_at": window.start, "end_at": window.end}
    row |= {"column_name": window.column, "value": window.value, "predictions": window.predictions}
    row |= {"labelled": window.labelled, "complete": int(window.complete), "mature": int(window.mature)}
    row |= {name: msgspec.json.encode(getattr(window, name)).decode() for name in ("metrics", "quality")}
    return row | {"fingerprint": mark, "changed_at": at}

"""Estimates of windows: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loopline.ports.database import Row, Transaction
from loopline.usecases.monitoring.model.estimates.values import Estimate

_SAME = (
    "metric", "method", "value", "low", "high", "spread", "first_value", "first_low", "first_high", "first_spread",
    "first_share", "realized", "share", "version", "as_of", "warning",
)  # fmt: skip
_KEY = ("endpoint", "start_at", "metric", "method")
_NAMES = (*_SAME, "endpoint", "start_at", "end_at", "row_count", "complete", "mature", "basis", "changed_at")
PUT = (
    f"INSERT INTO monitoring_estimates ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)})"
    " ON CONFLICT (endpoint, start_at, metric, method) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in _KEY)
)
SELECT = f"SELECT {', '.join(_NAMES)} FROM monitoring_estimates WHERE endpoint = :endpoint"
IN_ORDER = " ORDER BY start_at, metric, method"


def estimates(tx: Transaction, endpoint: str, since: str = "") -> list[tuple[str, Estimate]]:
    """Estimates of windows that start at `since` or later, oldest first, each with the basis it was made on."""
    rows = tx.rows(f"{SELECT} AND start_at >= :since{IN_ORDER}", {"endpoint": endpoint, "since": since})
    return [(row["basis"], _estimate(row)) for row in rows]


def estimates_of(tx: Transaction, endpoint: str, metric: str, method: str, since: str, until: str) -> list[Estimate]:
    """Those of windows that start within [since, until); '' stands for every metric, every method, an open bound."""
    params = {"endpoint": endpoint, "since": since, "until": until or "9999", "metric": metric, "method": method}
    where = " AND start_at >= :since AND start_at < :until"
    where += " AND metric = :metric" if metric else ""
    where += " AND method = :method" if method else ""
    used = {name: value for name, value in params.items() if value or name == "since"}
    return [_estimate(row) for row in tx.rows(SELECT + where + IN_ORDER, used)]


def put(tx: Transaction, endpoint: str, changed: Iterable[tuple[str, Estimate]], at: str) -> None:
    """Write estimates, replacing what stood there."""
    tx.run_many(PUT, [_row(endpoint, basis, entry, at) for basis, entry in changed])


def _row(endpoint: str, basis: str, entry: Estimate, at: str) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(entry, name) for name in _SAME}
    row |= {"endpoint": endpoint, "start_at": entry.start, "end_at": entry.end, "row_count": entry.rows}
    return row | {"complete": int(entry.complete), "mature": int(entry.mature), "basis": basis, "changed_at": at}


def _estimate(row: Row) -> Estimate:
    same = {name: row[name] for name in _SAME}
    return Estimate(
        **same,
        start=row["start_at"],
        end=row["end_at"],
        rows=row["row_count"],
        complete=bool(row["complete"]),
        mature=bool(row["mature"]),
    )

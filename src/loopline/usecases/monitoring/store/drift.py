"""Judged windows of drift: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.monitoring.model.drifts.reports import DriftCell

_FIELDS = (
    "start_at", "end_at", "column_name", "kind", "p_value", "e_value", "effect", "unit", "direction", "change", "alarm",
    "statistics", "reference", "since", "fingerprint",
)  # fmt: skip
_SET = ", ".join(f"{name} = excluded.{name}" for name in (*_FIELDS[1:2], *_FIELDS[3:], "changed_at"))
PUT = (
    f"INSERT INTO monitoring_drift (endpoint, {', '.join(_FIELDS)}, changed_at) VALUES (:endpoint,"
    f" {', '.join(f':{name}' for name in _FIELDS)}, :changed_at)"
    f" ON CONFLICT (endpoint, start_at, column_name) DO UPDATE SET {_SET}"
)
DROP = (
    "DELETE FROM monitoring_drift WHERE endpoint = :endpoint AND start_at = :start_at AND column_name = :column_name"
)  # fmt: skip
CELLS = f"SELECT {', '.join(_FIELDS)} FROM monitoring_drift WHERE endpoint = :endpoint"
_ORDER = " ORDER BY start_at, column_name"


class Kept(msgspec.Struct, frozen=True):
    """What is kept as JSON."""

    statistics: dict[str, float] = {}
    p_values: dict[str, float] = {}
    scores: dict[str, tuple[float, float]] = {}


def cells(tx: Transaction, endpoint: str) -> list[DriftCell]:
    """All judged windows of an endpoint, oldest first; the whole report (column '') before its columns."""
    return [_cell(row) for row in tx.rows(CELLS + _ORDER, {"endpoint": endpoint})]


def cells_between(tx: Transaction, endpoint: str, since: str, until: str) -> list[DriftCell]:
    """Those of windows that start within [since, until); '' leaves a bound open."""
    where = " AND start_at >= :since AND start_at < :until"
    return [
        _cell(row)
        for row in tx.rows(CELLS + where + _ORDER, {"endpoint": endpoint, "since": since, "until": until or "9999"})
    ]


def put_cells(tx: Transaction, endpoint: str, changed: Iterable[DriftCell], at: str) -> None:
    """Write judged windows, replacing what stood there."""
    tx.run_many(PUT, [_row(endpoint, cell, at) for cell in changed])


def drop_cells(tx: Transaction, endpoint: str, gone: Iterable[tuple[str, str]]) -> None:
    """Remove those of (start, column)."""
    tx.run_many(DROP, [{"endpoint": endpoint, "start_at": start, "column_name": name} for start, name in gone])


def _cell(row: Row) -> DriftCell:
    kept = msgspec.json.decode(row["statistics"], type=Kept)
    return DriftCell(
        start=row["start_at"],
        end=row["end_at"],
        column=row["column_name"],
        alarm=bool(row["alarm"]),
        statistics=kept.statistics,
        p_values=kept.p_values,
        scores=kept.scores,
        **{name: row[name] for name in _FIELDS if name in DriftCell.__struct_fields__ and name not in _APART},
    )


_APART = ("alarm", "statistics")


def _row(endpoint: str, cell: DriftCell, at: str) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(cell, name, None) for name in _FIELDS}
    kept = Kept(cell.statistics, cell.p_values, cell.scores)
    row |= {"start_at": cell.start, "end_at": cell.end, "column_name": cell.column, "alarm": int(cell.alarm)}
    row |= {"statistics": msgspec.json.encode(kept).decode(), "endpoint": endpoint, "changed_at": at}
    return row

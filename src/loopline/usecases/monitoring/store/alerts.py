"""Alerts: SQL in, values out."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.monitoring.model import OPEN, Alert
from loopline.usecases.monitoring.model.alerts import Precision

_ALERT = (
    "id, endpoint, cause, state, model, version, first_window, last_window, value, limit_value, message, opened_at,"
    " changed_at, changed_by, note, details, verdict, judged_by, judged_at"
)
ALERTS = f"SELECT {_ALERT} FROM monitoring_alerts"
ADD_ALERT = (
    f"INSERT INTO monitoring_alerts ({_ALERT}, seq) VALUES (:id, :endpoint, :cause, :state, :model, :version,"
    " :first_window, :last_window, :value, :limit_value, :message, :opened_at, :changed_at, :changed_by, :note, :details, :verdict,"
    " :judged_by, :judged_at, :seq)"
)
SET_ALERT = (
    "UPDATE monitoring_alerts SET cause = :cause, version = :version, first_window = :first_window, state = :state, last_window = :last_window, value = :value,"
    " limit_value = :limit_value, message = :message, changed_at = :changed_at, changed_by = :changed_by, note = :note,"
    " details = :details, verdict = :verdict, judged_by = :judged_by, judged_at = :judged_at WHERE id = :id"
)
PRECISION = """SELECT endpoint, count(*) AS alerts, sum(CASE WHEN verdict <> '' THEN 1 ELSE 0 END) AS judged,
sum(CASE WHEN verdict = 'real' THEN 1 ELSE 0 END) AS really FROM monitoring_alerts {where} GROUP BY endpoint ORDER BY endpoint"""


def alert(tx: Transaction, alert_id: str) -> Alert | None:
    """One alert or None."""
    row = tx.row(f"{ALERTS} WHERE id = :id", {"id": alert_id})
    return None if row is None else read_alert(row)


def newest_alert(tx: Transaction, endpoint: str, cause: str) -> Alert | None:
    """The last alert of a cause, whatever its state."""
    where = "WHERE endpoint = :endpoint AND cause = :cause ORDER BY seq DESC LIMIT 1"
    row = tx.row(f"{ALERTS} {where}", {"endpoint": endpoint, "cause": cause})
    return None if row is None else read_alert(row)


def seq_of(tx: Transaction, alert_id: str) -> int:
    """The number of the fact with which an alert opened."""
    row = tx.row("SELECT seq FROM monitoring_alerts WHERE id = :id", {"id": alert_id})
    return 0 if row is None else int(row["seq"])


def alerts(tx: Transaction, endpoint: str, state: str, limit: int, exact: bool = False) -> list[Alert]:
    """Alerts, newest first; '' leaves endpoint (unless `exact`) or state open, `open` includes acknowledged ones."""
    conditions = ["endpoint = :endpoint"] * (bool(endpoint) or exact)
    conditions += ["state <> 'resolved'" if state == OPEN else "state = :state"] * bool(state)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    params = {"endpoint": endpoint, "state": state, "limit": limit}
    asked = {name: value for name, value in params.items() if f":{name}" in f"{where} :limit"}
    return [read_alert(row) for row in tx.rows(f"{ALERTS} {where} ORDER BY seq DESC LIMIT :limit", asked)]


def precision(tx: Transaction, endpoint: str) -> list[Precision]:
    """Judged and real alerts by endpoint; '' for all endpoints."""
    where = "WHERE endpoint = :endpoint" if endpoint else ""
    rows = tx.rows(PRECISION.format(where=where), {"endpoint": endpoint} if endpoint else {})
    return [
        Precision(
            endpoint=row["endpoint"], alerts=row["alerts"], judged=row["judged"], real=row["really"],
            share=row["really"] / row["judged"] if row["judged"] else None,
        )
        for row in rows
    ]  # fmt: skip


def add_alert(tx: Transaction, alert: Alert, seq: int) -> None:
    """Write a new alert; `seq` is that of its fact."""
    tx.run(ADD_ALERT, _alert_row(alert) | {"seq": seq})


def set_alert(tx: Transaction, alert: Alert) -> None:
    """Write what may change of an alert."""
    row = _alert_row(alert)
    names: tuple[str, ...] = (
        "id",
        "cause",
        "version",
        "first_window",
        "state",
        "last_window",
        "value",
        "limit_value",
        "message",
        "changed_at",
        "changed_by",
        "note",
    )
    names += ("details", "verdict", "judged_by", "judged_at")
    tx.run(SET_ALERT, {name: row[name] for name in names})


def read_alert(row: Row) -> Alert:
    """A row as an alert."""
    names = [name for name in _ALERT.replace(" ", "").split(",") if name not in ("limit_value", "details")]
    found = {name: row[name] for name in names}
    return Alert(**found, limit=row["limit_value"], details=msgspec.json.decode(row["details"]))


def _alert_row(alert: Alert) -> dict[str, Any]:
    row = msgspec.structs.asdict(alert) | {"details": msgspec.json.encode(alert.details).decode()}
    return {("limit_value" if name == "limit" else name): value for name, value in row.items()}

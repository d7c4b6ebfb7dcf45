"""Everything that the list of all models shows, in a handful of statements whatever their number."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loopline.kit.rows import among
from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model.fleet import MOST_POINTS, FleetEstimate, Newest, Stored, Trouble

# The newest mature window is found by walking its endpoint's own rows backwards: the key begins with (endpoint, start_at).
NEWEST = (
    "SELECT e.endpoint, e.summary, e.evaluated_at, w.metrics FROM monitoring_endpoints e"
    " LEFT JOIN monitoring_windows w ON w.endpoint = e.endpoint AND w.column_name = '' AND w.value = ''"
    " AND w.start_at = (SELECT n.start_at FROM monitoring_windows n WHERE n.endpoint = e.endpoint"
    " AND n.column_name = '' AND n.mature = 1 ORDER BY n.start_at DESC LIMIT 1)"
)
ESTIMATES = (
    "SELECT m.endpoint, m.start_at, m.metric, m.value, m.low, m.high FROM monitoring_endpoints e"
    " JOIN monitoring_estimates m ON m.endpoint = e.endpoint AND m.start_at = (SELECT n.start_at FROM monitoring_estimates n"
    " WHERE n.endpoint = e.endpoint AND n.method = 'mix' AND n.value IS NOT NULL ORDER BY n.start_at DESC LIMIT 1)"
    " WHERE m.method = 'mix' AND m.mature = 0 AND m.value IS NOT NULL"
)
TROUBLES = (
    "SELECT endpoint, cause, state, first_window FROM monitoring_alerts WHERE state <> 'resolved' ORDER BY first_window"
)
COURSES = (
    "SELECT endpoint, start_at, mature, metrics FROM (SELECT endpoint, start_at, mature, metrics,"
    " ROW_NUMBER() OVER (PARTITION BY endpoint ORDER BY start_at DESC) AS place FROM monitoring_windows"
    " WHERE {where} AND column_name = '') newest WHERE place <= :most ORDER BY endpoint, start_at"
)


def newest(tx: Transaction, endpoint: str = "") -> list[Newest]:
    """Each evaluated endpoint (or the one named) with its newest mature window."""
    summaries, metrics = msgspec.json.Decoder(Stored), msgspec.json.Decoder(dict[str, float])
    return [
        Newest(
            summary=summaries.decode(row["summary"]),
            evaluated_at=row["evaluated_at"],
            metrics=metrics.decode(row["metrics"]) if row["metrics"] else {},
        )
        for row in (
            tx.rows(f"{NEWEST} WHERE e.endpoint = :endpoint", {"endpoint": endpoint})
            if endpoint
            else tx.rows(f"{NEWEST} ORDER BY e.endpoint")
        )
    ]


def troubles(tx: Transaction) -> dict[str, Trouble]:
    """The unresolved alerts by endpoint."""
    found: dict[str, Trouble] = {}
    for row in tx.rows(TROUBLES):
        before = found.get(row["endpoint"], Trouble())
        found[row["endpoint"]] = Trouble(
            count=before.count + 1,
            acknowledged=before.acknowledged + (row["state"] == "acknowledged"),
            causes=tuple(dict.fromkeys((*before.causes, row["cause"]))),
            since=before.since or row["first_window"],
        )
    return found


def estimates(tx: Transaction, endpoint: str = "") -> dict[str, list[FleetEstimate]]:
    """What is thought of each endpoint's newest window without mature truth, a metric each."""
    found: dict[str, list[FleetEstimate]] = {}
    asked, params = (" AND m.endpoint = :endpoint", {"endpoint": endpoint}) if endpoint else ("", {})
    for row in tx.rows(ESTIMATES + asked, params):
        one = FleetEstimate(
            metric=row["metric"], window=row["start_at"], value=row["value"], low=row["low"], high=row["high"]
        )
        found.setdefault(row["endpoint"], []).append(one)
    return found


def courses(tx: Transaction, endpoints: Sequence[str]) -> dict[str, list[tuple[bool, dict[str, float]]]]:
    """(mature, metrics) of the newest windows of some endpoints, oldest first."""
    found: dict[str, list[tuple[bool, dict[str, float]]]] = {}
    if not endpoints:
        return found
    where, params = among("endpoint", endpoints)
    metrics = msgspec.json.Decoder(dict[str, float])
    for row in tx.rows(COURSES.format(where=where), {**params, "most": MOST_POINTS}):
        found.setdefault(row["endpoint"], []).append((bool(row["mature"]), metrics.decode(row["metrics"])))
    return found

"""Signs of life of what watches: SQL in, values out."""

from __future__ import annotations

import msgspec

from loopline.kit.rows import among
from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model.alerts import Alert
from loopline.usecases.monitoring.model.beats import Seen
from loopline.usecases.monitoring.store.alerts import ALERTS, read_alert

PUT = """INSERT INTO monitoring_beats (name, endpoint, at, details) VALUES (:name, :endpoint, :at, :details)
ON CONFLICT (name) DO UPDATE SET at = :at, details = :details"""
AT = "SELECT at, details FROM monitoring_beats WHERE name = :name"
EVALUATED = "SELECT endpoint, evaluated_at FROM monitoring_endpoints"
BEATEN = "SELECT endpoint, at FROM monitoring_beats WHERE endpoint <> ''"
WATCH, SEEN = "watch", "seen"
TRYING = """SELECT channel, max(tries) AS tries, max(error) AS error FROM monitoring_deliveries
WHERE state = 'waiting' GROUP BY channel"""
ENDED = """SELECT channel, max(CASE WHEN state = 'dead' THEN ended_at ELSE '' END) AS dead,
max(CASE WHEN state = 'sent' THEN ended_at ELSE '' END) AS sent FROM monitoring_deliveries
WHERE state IN ('dead', 'sent') GROUP BY channel"""


def put(tx: Transaction, name: str, endpoint: str, at: str, details: str = "{}") -> None:
    """Write a sign of life."""
    tx.run(PUT, {"name": name, "endpoint": endpoint, "at": at, "details": details})


def watched_at(tx: Transaction) -> str:
    """When somebody last looked after the monitors; "" for never."""
    row = tx.row(AT, {"name": WATCH})
    return "" if row is None else str(row["at"])


def seen(tx: Transaction) -> Seen:
    """What was seen at the last look."""
    row = tx.row(AT, {"name": SEEN})
    return Seen() if row is None else msgspec.json.decode(row["details"], type=Seen)


def put_seen(tx: Transaction, seen: Seen, at: str) -> None:
    """Keep what was seen."""
    put(tx, SEEN, "", at, msgspec.json.encode(seen).decode())


def evaluated(tx: Transaction) -> dict[str, str]:
    """When each endpoint was last evaluated."""
    found = {row["endpoint"]: row["evaluated_at"] for row in tx.rows(EVALUATED)}
    for row in tx.rows(BEATEN):
        found[row["endpoint"]] = max(found.get(row["endpoint"], ""), row["at"])
    return found


def open_alerts(tx: Transaction, causes: tuple[str, ...]) -> list[Alert]:
    """All alerts of these causes that are not resolved."""
    where, params = among("cause", causes)
    return [read_alert(row) for row in tx.rows(f"{ALERTS} WHERE state <> 'resolved' AND {where}", params)]


def failing_channels(tx: Transaction, tries: int) -> dict[str, str]:
    """Channels that take no messages: given up since one was last sent, or tried so many times. With the last error."""
    ended = {row["channel"]: (row["dead"], row["sent"]) for row in tx.rows(ENDED)}
    found = {name: "messages were given up" for name, (dead, sent) in ended.items() if dead > sent}
    return found | {row["channel"]: row["error"] for row in tx.rows(TRYING) if row["tries"] >= tries}

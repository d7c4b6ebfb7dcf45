"""Messages and their deliveries: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from loopline.kit.rows import among
from loopline.ports.database import Row, Transaction
from loopline.usecases.monitoring.model.alerts import Alert
from loopline.usecases.monitoring.model.messages import Delivery, Note

FIELDS = Delivery.__struct_fields__
COLUMNS = ", ".join(FIELDS)
ADD_NOTE = """INSERT INTO monitoring_messages (id, seq, alert, endpoint, state, content, created_at, addressed)
VALUES (:id, :seq, :alert, :endpoint, :state, :content, :created_at, 0) ON CONFLICT (id) DO NOTHING"""
NOTES = "SELECT id, seq, state, content, created_at FROM monitoring_messages"
UNADDRESSED = f"{NOTES} WHERE addressed = 0 ORDER BY seq, state DESC LIMIT :limit"
ADDRESSED = "UPDATE monitoring_messages SET addressed = 1 WHERE id = :id"
ADD = f"""INSERT INTO monitoring_deliveries ({COLUMNS}) VALUES ({", ".join(f":{name}" for name in FIELDS)})
ON CONFLICT (id) DO NOTHING"""
DELIVERIES = f"SELECT {COLUMNS} FROM monitoring_deliveries"
ALL_WAITING = f"{DELIVERIES} WHERE state = 'waiting' ORDER BY seq, id DESC LIMIT 5000"
DUE = "SELECT min(not_before) AS at FROM monitoring_deliveries WHERE state = 'waiting'"
SENT_SINCE = """SELECT ended_at FROM monitoring_deliveries WHERE channel = :channel AND ended_at > :since AND state = 'sent'
ORDER BY ended_at DESC LIMIT :limit"""
END = """UPDATE monitoring_deliveries SET state = :state, tries = :tries, error = :error, ended_at = :at
WHERE id = :id AND state = 'waiting'"""
LATER = """UPDATE monitoring_deliveries SET tries = :tries, not_before = :not_before, error = :error
WHERE id = :id AND state = 'waiting'"""
FOLD = "UPDATE monitoring_deliveries SET state = 'folded', carried_by = :carried_by, ended_at = :at WHERE id = :id"
CARRIED = f"{DELIVERIES} WHERE carried_by = :carried_by ORDER BY seq, id"
COUNTS = (
    "SELECT channel, state, count(*) AS n, max(ended_at) AS last FROM monitoring_deliveries GROUP BY channel, state"
)
LAST_ERROR = """SELECT error FROM monitoring_deliveries WHERE channel = :channel AND error <> ''
AND state IN ('waiting', 'dead') ORDER BY seq DESC LIMIT 1"""


def post(tx: Transaction, alert: Alert, state: str, seq: int, at: str) -> None:
    """Ask that people be told of an alert, in the transaction that changes it; each state of it once for ever."""
    row = {"id": f"{alert.id}-{state}", "seq": seq, "alert": alert.id, "endpoint": alert.endpoint, "state": state}
    tx.run(ADD_NOTE, row | {"content": msgspec.json.encode(alert).decode(), "created_at": at})


def unaddressed(tx: Transaction, limit: int = 1000) -> list[Note]:
    """Notes for which nobody looked yet where they go, oldest first."""
    return [_note(row) for row in tx.rows(UNADDRESSED, {"limit": limit})]


def addressed(tx: Transaction, notes: Iterable[str]) -> None:
    """Mark notes: where they go is decided."""
    tx.run_many(ADDRESSED, [{"id": note} for note in notes])


def renew(tx: Transaction, note: Note) -> None:
    """Have a note tell of its alert as it is now."""
    content = msgspec.json.encode(note.alert).decode()
    tx.run("UPDATE monitoring_messages SET content = :content WHERE id = :id", {"id": note.id, "content": content})


def notes(tx: Transaction, ids: Sequence[str]) -> list[Note]:
    """Notes by id, in the order in which they came."""
    where, params = among("id", ids)
    return [_note(row) for row in tx.rows(f"{NOTES} WHERE {where} ORDER BY seq, state DESC", params)]


def add(tx: Transaction, deliveries: Iterable[Delivery]) -> None:
    """Write deliveries; one that is there stays as it is."""
    tx.run_many(ADD, [msgspec.structs.asdict(one) for one in deliveries])


def waiting(tx: Transaction) -> list[Delivery]:
    """All that waits, in the order in which it came."""
    return [_delivery(row) for row in tx.rows(ALL_WAITING)]


def due_at(tx: Transaction) -> str | None:
    """When the next delivery is due; "" for at once, None when nothing waits."""
    if tx.row("SELECT 1 AS found FROM monitoring_messages WHERE addressed = 0 LIMIT 1") is not None:
        return ""
    row = tx.row(DUE)
    return None if row is None or row["at"] is None else str(row["at"])


def sent_since(tx: Transaction, channel: str, since: str, limit: int) -> list[str]:
    """When the newest messages of a channel were sent, newest first."""
    return [row["ended_at"] for row in tx.rows(SENT_SINCE, {"channel": channel, "since": since, "limit": limit})]


def end(tx: Transaction, one: Delivery, state: str, tries: int, error: str, at: str) -> None:
    """A delivery was sent, or is given up."""
    tx.run(END, {"id": one.id, "state": state, "tries": tries, "error": error, "at": at})


def later(tx: Transaction, one: Delivery, tries: int, not_before: str, error: str) -> None:
    """A delivery is tried again later."""
    tx.run(LATER, {"id": one.id, "tries": tries, "not_before": not_before, "error": error})


def fold(tx: Transaction, members: Iterable[Delivery], into: Delivery, at: str) -> None:
    """Put deliveries together as one."""
    add(tx, [into])
    tx.run_many(FOLD, [{"id": one.id, "carried_by": into.id, "at": at} for one in members])


def carried(tx: Transaction, digest: str) -> list[Delivery]:
    """What a digest holds."""
    return [_delivery(row) for row in tx.rows(CARRIED, {"carried_by": digest})]


def deliveries(tx: Transaction, channel: str, alert: str, limit: int) -> list[Delivery]:
    """Deliveries, newest first; "" leaves channel or alert open."""
    asked = {name: value for name, value in (("channel", channel), ("alert", alert)) if value}
    where = " WHERE " + " AND ".join(f"{name} = :{name}" for name in asked) if asked else ""
    rows = tx.rows(f"{DELIVERIES}{where} ORDER BY seq DESC, id LIMIT :limit", asked | {"limit": limit})
    return [_delivery(row) for row in rows]


def counts(tx: Transaction) -> dict[tuple[str, str], tuple[int, str]]:
    """How many deliveries are in each state, and when the last one ended, by (channel, state)."""
    return {(row["channel"], row["state"]): (row["n"], row["last"]) for row in tx.rows(COUNTS)}


def last_error(tx: Transaction, channel: str) -> str:
    """What went wrong last with a message that waits or was given up, or ""."""
    row = tx.row(LAST_ERROR, {"channel": channel})
    return "" if row is None else str(row["error"])


def _note(row: Row) -> Note:
    alert = msgspec.json.decode(row["content"], type=Alert)
    return Note(id=row["id"], seq=row["seq"], alert=alert, state=row["state"], created_at=row["created_at"])


def _delivery(row: Row) -> Delivery:
    values: dict[str, Any] = {name: row[name] for name in FIELDS}
    return Delivery(**values)

"""The tables of retention: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.kit.rows import among, laid_back, portions
from loopline.ports.database import Row, Transaction
from loopline.usecases.retention.model import KEEP_DAYS, PURGING, TRASH, Policy, Rules, Tombstone

_ENTRY = "id, kind, name, title, state, counts, things, folders, size, removed_at, removed_by"
ENTRIES = f"SELECT {_ENTRY} FROM retention_trash"
ADD_ENTRY = (
    f"INSERT INTO retention_trash ({_ENTRY}) VALUES (:id, :kind, :name, :title, :state, :counts, :things, :folders,"
    " :size, :removed_at, :removed_by)"
)
ADD_PARCEL = (
    "INSERT INTO retention_parcels (entry, position, of_table, content) VALUES (:entry, :position, :of_table, :content)"
)
ADD_TOMBSTONE = (
    "INSERT INTO retention_tombstones (kind, name, seq, of_kind, of_name, removed_at, removed_by)"
    " VALUES (:kind, :name, :seq, :of_kind, :of_name, :removed_at, :removed_by) ON CONFLICT (kind, name) DO UPDATE SET"
    " seq = excluded.seq, of_kind = excluded.of_kind, of_name = excluded.of_name, removed_at = excluded.removed_at,"
    " removed_by = excluded.removed_by"
)
TOMBSTONES = (
    "SELECT kind, name, seq, of_kind, of_name, removed_at, removed_by FROM retention_tombstones WHERE kind = :kind"
)
SHORTEST_BEGINNING = 4  # of an id or digest that is enough
BY_BEGINNING = ("run", "release", "snapshot")
PUT_POLICY = (
    "INSERT INTO retention_policies (experiment, rules, set_at, set_by) VALUES (:experiment, :rules, :set_at, :set_by)"
    " ON CONFLICT (experiment) DO UPDATE SET rules = excluded.rules, set_at = excluded.set_at, set_by = excluded.set_by"
)
PUT_SETTING = (
    "INSERT INTO retention_settings (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET"
    " value = excluded.value"
)


def add_entry(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Something new in the trash, or on its way out of it."""
    texts = {name: msgspec.json.encode(row[name]).decode() for name in ("counts", "things", "folders")}
    tx.run(ADD_ENTRY, {**row, **texts})


def entries(tx: Transaction, state: str = "") -> list[Row]:
    """What is in the trash, newest first."""
    where = " WHERE state = :state" if state else ""
    return [
        _entry(row)
        for row in tx.rows(f"{ENTRIES}{where} ORDER BY removed_at DESC, id", {"state": state} if state else {})
    ]


def entry(tx: Transaction, kind: str, name: str) -> Row | None:
    """The newest entry of a thing; one that is being purged counts when there is no other."""
    where = f" WHERE kind = :kind AND name = :name ORDER BY state = '{PURGING}', removed_at DESC, id"
    row = tx.row(ENTRIES + where, {"kind": kind, "name": name})
    return None if row is None else _entry(row)


def entry_of(tx: Transaction, entry_id: str) -> Row | None:
    """An entry by its id."""
    row = tx.row(f"{ENTRIES} WHERE id = :id", {"id": entry_id})
    return None if row is None else _entry(row)


def begins(tx: Transaction, kind: str, start: str) -> list[str]:
    """Names of things of a kind in the trash that are so named, or begin so."""
    rows = tx.rows(
        f"SELECT DISTINCT name, title FROM retention_trash WHERE kind = :kind AND state = '{TRASH}'", {"kind": kind}
    )
    exact = [row["name"] for row in rows if start in (row["name"], row["title"])]
    return exact or [row["name"] for row in rows if len(start) >= 4 and start in row["name"]]


def set_purging(tx: Transaction, entry_id: str) -> None:
    """There is no way back any more: what was lifted out is let go of."""
    tx.run(f"UPDATE retention_trash SET state = '{PURGING}' WHERE id = :id", {"id": entry_id})
    tx.run("DELETE FROM retention_parcels WHERE entry = :id", {"id": entry_id})


def drop_entry(tx: Transaction, entry_id: str) -> None:
    """Nothing is left to do about it."""
    tx.run("DELETE FROM retention_parcels WHERE entry = :id", {"id": entry_id})
    tx.run("DELETE FROM retention_trash WHERE id = :id", {"id": entry_id})


def add_parcel(tx: Transaction, entry_id: str, position: int, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows that were lifted out of a table."""
    content = msgspec.json.encode(rows).decode()
    tx.run(ADD_PARCEL, {"entry": entry_id, "position": position, "of_table": table, "content": content})


def lay_back(tx: Transaction, entry_id: str) -> None:
    """Put all rows of an entry back, those lifted last first."""
    positions = tx.rows(
        "SELECT position FROM retention_parcels WHERE entry = :id ORDER BY position DESC", {"id": entry_id}
    )
    for row in positions:
        key = {"id": entry_id, "position": row["position"]}
        parcel = tx.row(
            "SELECT of_table, content FROM retention_parcels WHERE entry = :id AND position = :position", key
        )
        if parcel is not None:
            laid_back(tx, parcel["of_table"], msgspec.json.decode(parcel["content"]))


def put_tombstones(tx: Transaction, things: Mapping[str, Iterable[str]], root: Mapping[str, Any]) -> None:
    """Remember what was there; `root` holds seq, of_kind, of_name, removed_at, removed_by."""
    for kind, names in things.items():
        tx.run_many(ADD_TOMBSTONE, [{"kind": kind, "name": name, **root} for name in names])


def drop_tombstones(tx: Transaction, things: Mapping[str, Sequence[str]]) -> None:
    """It is there again."""
    for kind, names in things.items():
        for some in portions(list(names)):
            where, params = among("name", some)
            tx.run(f"DELETE FROM retention_tombstones WHERE kind = :kind AND {where}", {"kind": kind, **params})


def tombstone(tx: Transaction, kind: str, name: str) -> Tombstone | None:
    """What is known of a thing that was there; a run, release or snapshot may be named by the beginning of its id or
    digest alone."""
    long = len(name) >= SHORTEST_BEGINNING
    params = {"kind": kind, "name": name, "high": name + ("\uffff" if long and kind in BY_BEGINNING else "")}
    row = tx.row(f"{TOMBSTONES} AND name BETWEEN :name AND :high ORDER BY name LIMIT 1", params)
    if row is None and kind == "snapshot" and long and name.isalnum():
        like = {"kind": kind, "name": f"%/{name}%"}
        row = tx.row(f"{TOMBSTONES} AND name LIKE :name LIMIT 1", like)
    return None if row is None else Tombstone(**row)


def put_policy(tx: Transaction, policy: Policy) -> None:
    """Set the rules of an experiment."""
    values = {name: getattr(policy, name) for name in ("experiment", "set_at", "set_by")} | {
        "rules": msgspec.json.encode(policy.rules).decode()
    }
    tx.run(PUT_POLICY, values)


def drop_policy(tx: Transaction, experiment: str) -> int:
    """Leave an experiment without rules; answers whether it had some."""
    return tx.run("DELETE FROM retention_policies WHERE experiment = :experiment", {"experiment": experiment})


def policies(tx: Transaction) -> list[Policy]:
    """All policies by experiment."""
    rows = tx.rows("SELECT experiment, rules, set_at, set_by FROM retention_policies ORDER BY experiment")
    return [
        Policy(row["experiment"], msgspec.json.decode(row["rules"], type=Rules), row["set_at"], row["set_by"])
        for row in rows
    ]


def keep_days(tx: Transaction) -> int:
    """For how many days the trash is kept."""
    row = tx.row("SELECT value FROM retention_settings WHERE name = 'keep_days'")
    return KEEP_DAYS if row is None else int(row["value"])


def set_keep_days(tx: Transaction, days: int) -> None:
    """Keep the trash for so many days."""
    tx.run(PUT_SETTING, {"name": "keep_days", "value": str(days)})


def _entry(row: Row) -> Row:
    return {**row, **{name: msgspec.json.decode(row[name]) for name in ("counts", "things", "folders")}}

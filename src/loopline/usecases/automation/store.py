"""Cursors and firings as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.automation.model import Firing, Policy

FIELDS = Firing.__struct_fields__
COLUMNS = ", ".join(FIELDS)
CURSOR = "SELECT seq, at FROM automation_cursors WHERE name = :name"
SET_CURSOR = """INSERT INTO automation_cursors (name, seq, at) VALUES (:name, :seq, :at)
ON CONFLICT (name) DO UPDATE SET seq = :seq, at = :at"""
ADD = f"""INSERT INTO automation_firings ({COLUMNS}) VALUES ({", ".join(f":{name}" for name in FIELDS)})"""
KNOWN = "SELECT 1 AS found FROM automation_firings WHERE dedupe_key = :key"
SELECT = f"SELECT {COLUMNS} FROM automation_firings"
ONE = f"{SELECT} WHERE id = :id"
LAST = f"{SELECT} WHERE project = :project AND policy = :policy AND state <> 'skipped' ORDER BY seq DESC LIMIT 1"
NEXT = f"{SELECT} WHERE state = 'requested' ORDER BY seq LIMIT 1"
RUNNING = f"{SELECT} WHERE state = 'running'"
NEWEST = f"{SELECT} ORDER BY seq DESC LIMIT :limit"
NEWEST_OF = f"{SELECT} WHERE policy = :policy ORDER BY seq DESC LIMIT :limit"
COUNT = (
    "SELECT count(*) AS n FROM automation_firings WHERE project = :project AND policy = :policy AND state <> 'skipped'"
)
WAITING = f"""{SELECT} WHERE state = 'done' AND verdict = 'passed' AND promoted = 0 AND model = :model
AND version = :version ORDER BY seq DESC LIMIT 1"""
CLAIM = """UPDATE automation_firings SET state = 'running', owner = :owner, attempts = attempts + 1,
started_at = COALESCE(started_at, :at), started_seq = COALESCE(started_seq, :seq) WHERE id = :id AND state = 'requested'"""
REQUEUE = "UPDATE automation_firings SET state = 'requested', owner = '' WHERE id = :id AND state = 'running' AND owner = :owner"
MADE = "UPDATE automation_firings SET run_id = :run_id, model = :model, version = :version WHERE id = :id"
JUDGED = "UPDATE automation_firings SET gate_id = :gate_id, verdict = :verdict, alias = :alias WHERE id = :id"
END = """UPDATE automation_firings SET state = :state, reason = :reason, promoted = :promoted, ended_at = :at, owner = ''
WHERE id = :id AND state <> :state"""
TOLD = "UPDATE automation_firings SET reason = :reason WHERE id = :id"
UNDER_WAY = f"{SELECT} WHERE policy = :policy AND started_seq <= :seq ORDER BY started_seq DESC LIMIT 1"
PROMOTED = "UPDATE automation_firings SET promoted = 1, reason = :reason WHERE id = :id"


def cursor(tx: Transaction, name: str) -> Row | None:
    return tx.row(CURSOR, {"name": name})


def set_cursor(tx: Transaction, name: str, seq: int, at: str) -> None:
    tx.run(SET_CURSOR, {"name": name, "seq": seq, "at": at})


def known(tx: Transaction, key: str) -> bool:
    """Whether a cause was dealt with already."""
    return tx.row(KNOWN, {"key": key}) is not None


def add(tx: Transaction, firing: Firing) -> None:
    row = {name: getattr(firing, name) for name in FIELDS}
    tx.run(ADD, {**row, "rules": msgspec.json.encode(firing.rules).decode(), "promoted": int(firing.promoted)})


def firing(tx: Transaction, firing_id: str) -> Firing | None:
    return optional(tx.row(ONE, {"id": firing_id}))


def last(tx: Transaction, policy: Policy) -> Firing | None:
    """The newest firing of a policy that was not skipped."""
    return optional(tx.row(LAST, {"project": policy.project, "policy": policy.name}))


def count(tx: Transaction, policy: Policy) -> int:
    found = tx.row(COUNT, {"project": policy.project, "policy": policy.name})
    return int(found["n"]) if found else 0


def next_requested(tx: Transaction) -> Firing | None:
    return optional(tx.row(NEXT))


def running(tx: Transaction) -> list[Firing]:
    return [value(row) for row in tx.rows(RUNNING)]


def newest(tx: Transaction, policy: str, limit: int) -> list[Firing]:
    rows = tx.rows(NEWEST_OF, {"policy": policy, "limit": limit}) if policy else tx.rows(NEWEST, {"limit": limit})
    return [value(row) for row in rows]


def waiting(tx: Transaction, model: str, version: int) -> Firing | None:
    """The firing whose candidate passed its gate and was not promoted."""
    return optional(tx.row(WAITING, {"model": model, "version": version}))


def claim(tx: Transaction, firing_id: str, owner: str, at: str, seq: int) -> bool:
    return tx.run(CLAIM, {"id": firing_id, "owner": owner, "at": at, "seq": seq}) == 1


def requeue(tx: Transaction, firing_id: str, owner: str) -> bool:
    return tx.run(REQUEUE, {"id": firing_id, "owner": owner}) == 1


def made(tx: Transaction, firing_id: str, run_id: str | None, model: str | None, version: int | None) -> None:
    tx.run(MADE, {"id": firing_id, "run_id": run_id, "model": model, "version": version})


def judged(tx: Transaction, firing_id: str, gate_id: str, verdict: str, alias: str) -> None:
    tx.run(JUDGED, {"id": firing_id, "gate_id": gate_id, "verdict": verdict, "alias": alias})


def end(tx: Transaction, firing_id: str, state: str, reason: str, promoted: bool, at: str) -> bool:
    fields = {"id": firing_id, "state": state, "reason": reason, "promoted": int(promoted), "at": at}
    return tx.run(END, fields) == 1


def promoted(tx: Transaction, firing_id: str, reason: str) -> None:
    tx.run(PROMOTED, {"id": firing_id, "reason": reason})


def told(tx: Transaction, firing_id: str, reason: str) -> None:
    tx.run(TOLD, {"id": firing_id, "reason": reason})


def under_way(tx: Transaction, policy: str, seq: int) -> Firing | None:
    """The firing of a policy that was under way when fact `seq` was written."""
    return optional(tx.row(UNDER_WAY, {"policy": policy, "seq": seq}))


def optional(row: Mapping[str, Any] | None) -> Firing | None:
    return None if row is None else value(row)


def value(row: Mapping[str, Any]) -> Firing:
    rules = msgspec.json.decode(row["rules"], type=Policy)
    return Firing(**{**row, "rules": rules, "promoted": bool(row["promoted"])})

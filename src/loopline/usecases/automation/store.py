"""Cursors and firings as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
REQUESTED = f"""{SELECT} WHERE seq IN
(SELECT min(seq) FROM automation_firings WHERE state = 'requested' GROUP BY project, policy) ORDER BY seq"""
RUNNING = f"{SELECT} WHERE state = 'running'"
NEWEST = f"{SELECT} ORDER BY seq DESC LIMIT :limit"
NEWEST_OF = f"{SELECT} WHERE policy = :policy ORDER BY seq DESC LIMIT :limit"
COUNT = (
    "SELECT count(*) AS n FROM automation_firings WHERE project = :project AND policy = :policy AND state <> 'skipped'"
)
WAITING = f"""{SELECT} WHERE state = 'done' AND verdict = 'passed' AND promoted = 0 AND model = :model
AND version = :version ORDER BY seq DESC LIMIT 1"""
CLAIM = """UPDATE automation_firings SET state = 'running', owner = :owner, attempts = attempts + 1, fence = fence + 1,
beat = 0, started_at = COALESCE(started_at, :at), started_seq = COALESCE(started_seq, :seq)
WHERE id = :id AND state = 'requested'"""
HELD = "WHERE id = :id AND fence = :fence AND state = 'running'"
ADOPT = f"UPDATE automation_firings SET owner = :owner, beat = beat + 1 {HELD}"
BEAT = f"UPDATE automation_firings SET beat = beat + 1 {HELD}"
TAKE_BACK = f"UPDATE automation_firings SET state = 'requested', owner = '', fence = fence + 1 {HELD} AND beat = :beat"
RAN = f"UPDATE automation_firings SET environment = :environment, release = :release {HELD}"
MADE = f"UPDATE automation_firings SET run_id = :run_id, model = :model, version = :version {HELD}"
JUDGED = f"UPDATE automation_firings SET gate_id = :gate_id, verdict = :verdict, alias = :alias {HELD}"
END = f"""UPDATE automation_firings SET state = :state, reason = :reason, promoted = :promoted, ended_at = :at,
owner = '' {HELD}"""
SLOT = """INSERT INTO automation_slots (pipeline, slot, firing) VALUES (:pipeline, :slot, :id)
ON CONFLICT (pipeline, slot) DO NOTHING"""
FREE = "DELETE FROM automation_slots WHERE firing = :id"
TAKEN = "SELECT pipeline, count(*) AS n FROM automation_slots GROUP BY pipeline"
WAITING_FOR = """SELECT count(*) AS n FROM automation_firings
WHERE pipeline = :pipeline AND state IN ('requested', 'running')"""
ACTIVE = """SELECT state, count(*) AS n FROM automation_firings
WHERE project = :project AND policy = :policy AND state IN ('requested', 'running') GROUP BY state"""
DELIVERED = "SELECT firing FROM automation_deliveries WHERE name = :name"
DELIVER = """INSERT INTO automation_deliveries (name, firing, at) VALUES (:name, :firing, :at)
ON CONFLICT (name) DO NOTHING"""
LAST_WITH = f"""{SELECT} WHERE project = :project AND policy = :policy
AND (dedupe_key = :key OR substr(dedupe_key, 1, length(:again)) = :again) ORDER BY seq DESC LIMIT 1"""
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


def active(tx: Transaction, policy: Policy) -> dict[str, int]:
    """How many firings of a policy wait and run, by state."""
    return {row["state"]: row["n"] for row in tx.rows(ACTIVE, {"project": policy.project, "policy": policy.name})}


def requested(tx: Transaction) -> list[Firing]:
    """Of each policy the firing that waits longest to be executed, oldest first."""
    return [value(row) for row in tx.rows(REQUESTED)]


def taken_slots(tx: Transaction) -> dict[str, int]:
    """How many firings run each pipeline."""
    return {row["pipeline"]: row["n"] for row in tx.rows(TAKEN)}


def under_way_for(tx: Transaction, pipeline: str) -> int:
    """How many firings of a pipeline wait or run."""
    found = tx.row(WAITING_FOR, {"pipeline": pipeline})
    return int(found["n"]) if found else 0


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


def take_slot(tx: Transaction, pipeline: str, limit: int, firing_id: str) -> bool:
    """Take one of a pipeline's places; its unique key decides between two that want the same."""
    wanted = ({"pipeline": pipeline, "slot": slot, "id": firing_id} for slot in range(limit))
    return any(tx.run(SLOT, each) == 1 for each in wanted)


def adopt(tx: Transaction, firing_id: str, fence: int, owner: str) -> bool:
    return tx.run(ADOPT, {"id": firing_id, "fence": fence, "owner": owner}) == 1


def beat(tx: Transaction, firing_id: str, fence: int) -> bool:
    return tx.run(BEAT, {"id": firing_id, "fence": fence}) == 1


def take_back(tx: Transaction, firing: Firing) -> bool:
    """Ask for a firing anew, unless its owner gave a sign of life or another took it back."""
    if tx.run(TAKE_BACK, {"id": firing.id, "fence": firing.fence, "beat": firing.beat}) != 1:
        return False
    tx.run(FREE, {"id": firing.id})
    return True


def ran(tx: Transaction, firing: Firing, environment: str, release: str) -> bool:
    return tx.run(RAN, {**held(firing), "environment": environment, "release": release}) == 1


def made(tx: Transaction, firing: Firing, run_id: str | None, model: str | None, version: int | None) -> bool:
    return tx.run(MADE, {**held(firing), "run_id": run_id, "model": model, "version": version}) == 1


def judged(tx: Transaction, firing: Firing, gate_id: str, verdict: str, alias: str) -> bool:
    return tx.run(JUDGED, {**held(firing), "gate_id": gate_id, "verdict": verdict, "alias": alias}) == 1


def end(tx: Transaction, firing: Firing, state: str, reason: str, promoted: bool, at: str) -> bool:
    fields = {**held(firing), "state": state, "reason": reason, "promoted": int(promoted), "at": at}
    if tx.run(END, fields) != 1:
        return False
    tx.run(FREE, {"id": firing.id})
    return True


def held(firing: Firing) -> dict[str, Any]:
    return {"id": firing.id, "fence": firing.fence}


def delivered(tx: Transaction, names: Sequence[str]) -> str | None:
    """The firing that an earlier delivery of one of these names made."""
    found = [tx.row(DELIVERED, {"name": name}) for name in names]
    return next((str(row["firing"]) for row in found if row), None)


def deliver(tx: Transaction, names: Sequence[str], firing_id: str, at: str) -> None:
    for name in names:
        tx.run(DELIVER, {"name": name, "firing": firing_id, "at": at})


def last_with(tx: Transaction, policy: Policy, key: str) -> Firing | None:
    """The newest firing for a cause that may set a policy off again."""
    names = {"project": policy.project, "policy": policy.name, "key": key, "again": f"{key}/again:"}
    return optional(tx.row(LAST_WITH, names))


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

"""The tables of what was measured side by side and of what is asked: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.promotion.model.sides import Asked, Sides

COLUMNS = "id, verb, fields, caller, role, state, answer, asked_at"
KEEP = (
    "INSERT INTO promotion_sides (key, model, versions, held_out_of, content, measured_at)"
    " VALUES (:key, :model, :versions, :held_out_of, :content, :measured_at)"
    " ON CONFLICT (key) DO UPDATE SET content = excluded.content, measured_at = excluded.measured_at"
)
ASK = (
    f"INSERT INTO promotion_requests ({COLUMNS})"
    " VALUES (:id, :verb, :fields, :caller, :role, :state, :answer, :asked_at)"
)


def keep(tx: Transaction, key: str, sides: Sides) -> None:
    """Write what was measured, in place of what was there under the key."""
    row: dict[str, Any] = {"key": key, "model": sides.model, "held_out_of": sides.held_out_of}
    row |= {"versions": joined(sides.versions), "content": msgspec.json.encode(sides).decode()}
    tx.run(KEEP, row | {"measured_at": sides.measured_at})


def kept(tx: Transaction, key: str) -> Sides | None:
    """What was measured under a key, or None."""
    row = tx.row("SELECT content FROM promotion_sides WHERE key = :key", {"key": key})
    return None if row is None else msgspec.json.decode(row["content"], type=Sides)


def with_version(tx: Transaction, model: str, version: int) -> Sides | None:
    """The newest measurement in which a version took part, or None; on its own rows before others'."""
    row = tx.row(
        "SELECT content FROM promotion_sides WHERE model = :model AND versions LIKE :among"
        " ORDER BY held_out_of = :version DESC, measured_at DESC LIMIT 1",
        {"model": model, "among": f"%,{version},%", "version": version},
    )
    return None if row is None else msgspec.json.decode(row["content"], type=Sides)


def joined(versions: Iterable[int]) -> str:
    """Versions as a text in which each can be found: ",3,4,"."""
    return f",{','.join(map(str, versions))},"


def ask(tx: Transaction, asked: Asked) -> None:
    """Write a question; those answered long ago go."""
    tx.run("DELETE FROM promotion_requests WHERE state <> 'open' AND asked_at < :at", {"at": asked.asked_at[:10]})
    tx.run(ASK, msgspec.structs.asdict(asked))


def same(tx: Transaction, verb: str, fields: str) -> Asked | None:
    """An open question that asks just this, or None."""
    where = "WHERE state = 'open' AND verb = :verb AND fields = :fields"
    row = tx.row(f"SELECT {COLUMNS} FROM promotion_requests {where}", {"verb": verb, "fields": fields})
    return None if row is None else asked(row)


def newest(tx: Transaction, verb: str, fields: str) -> Asked | None:
    """The last question that asked this, or None."""
    where = "WHERE verb = :verb AND fields = :fields ORDER BY asked_at DESC LIMIT 1"
    row = tx.row(f"SELECT {COLUMNS} FROM promotion_requests {where}", {"verb": verb, "fields": fields})
    return None if row is None else asked(row)


def one(tx: Transaction, request_id: str) -> Asked | None:
    """A question by its id."""
    row = tx.row(f"SELECT {COLUMNS} FROM promotion_requests WHERE id = :id", {"id": request_id})
    return None if row is None else asked(row)


def opened(tx: Transaction) -> list[Asked]:
    """What nobody has answered yet, oldest first."""
    rows = tx.rows(f"SELECT {COLUMNS} FROM promotion_requests WHERE state = 'open' ORDER BY asked_at, id")
    return [asked(row) for row in rows]


def begin(tx: Transaction, request_id: str) -> None:
    """Note that a process takes a question up."""
    tx.run("UPDATE promotion_requests SET answer = 'begun' WHERE id = :id AND state = 'open'", {"id": request_id})


def answer(tx: Transaction, request_id: str, state: str, content: str) -> None:
    """Write the answer, unless there is one."""
    where = "WHERE id = :id AND state = 'open'"
    tx.run(
        f"UPDATE promotion_requests SET state = :state, answer = :answer {where}",
        {"id": request_id, "state": state, "answer": content},
    )


def asked(row: Row) -> Asked:
    """A row as a value."""
    return Asked(**{name: row[name] for name in Asked.__struct_fields__})

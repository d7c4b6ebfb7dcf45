"""Facts as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loopline.ports.database import Row, Transaction

COLUMNS = "seq, at, kind, subject, actor, body, previous, digest"
INSERT = f"""INSERT INTO ledger_facts ({COLUMNS})
VALUES (:seq, :at, :kind, :subject, :actor, :body, :previous, :digest)"""
LAST = "SELECT seq, digest FROM ledger_facts ORDER BY seq DESC LIMIT 1"
SINCE = f"SELECT {COLUMNS} FROM ledger_facts WHERE seq > :seq ORDER BY seq LIMIT :limit"
ABOUT = f"SELECT {COLUMNS} FROM ledger_facts WHERE subject = :subject ORDER BY seq"
LATEST = f"SELECT {COLUMNS} FROM ledger_facts ORDER BY seq DESC LIMIT :limit"
COUNT = "SELECT count(*) AS n FROM ledger_facts"
OF_KIND = f"SELECT {COLUMNS} FROM ledger_facts WHERE kind = :kind AND seq > :seq ORDER BY seq LIMIT :limit"


def last(tx: Transaction) -> Row | None:
    return tx.row(LAST)


def count(tx: Transaction) -> int:
    found = tx.row(COUNT)
    return int(found["n"]) if found else 0


def insert(tx: Transaction, row: Mapping[str, Any]) -> None:
    tx.run(INSERT, row)


def since(tx: Transaction, seq: int, limit: int) -> list[Row]:
    return tx.rows(SINCE, {"seq": seq, "limit": limit})


def of_kind(tx: Transaction, kind: str, seq: int, limit: int) -> list[Row]:
    return tx.rows(OF_KIND, {"kind": kind, "seq": seq, "limit": limit})


def about(tx: Transaction, subject: str) -> list[Row]:
    return tx.rows(ABOUT, {"subject": subject})


def latest(tx: Transaction, limit: int) -> list[Row]:
    return tx.rows(LATEST, {"limit": limit})


def every(tx: Transaction) -> Iterable[Row]:
    """All rows in order, in pages."""
    seq = 0
    while page := since(tx, seq, 5000):
        yield from page
        seq = page[-1]["seq"]

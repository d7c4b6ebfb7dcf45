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
LATEST = f"""SELECT {COLUMNS} FROM ledger_facts WHERE (:before = 0 OR seq < :before)
AND (:kind = '' OR kind = :kind OR substr(kind, 1, length(:kind) + 1) = :kind || '.')
AND (:subject = '' OR subject = :subject) AND (:actor = '' OR actor = :actor)
ORDER BY seq DESC LIMIT :limit"""
KINDS = """SELECT found.kind, found.n AS count, found.last AS seq, newest.at FROM
(SELECT kind, count(*) AS n, max(seq) AS last FROM ledger_facts GROUP BY kind) AS found
JOIN ledger_facts AS newest ON newest.seq = found.last ORDER BY found.kind"""
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


def latest(tx: Transaction, wanted: Mapping[str, Any]) -> list[Row]:
    return tx.rows(LATEST, wanted)


def kinds(tx: Transaction) -> list[Row]:
    return tx.rows(KINDS)


def every(tx: Transaction) -> Iterable[Row]:
    """All rows in order, in pages."""
    seq = 0
    while page := since(tx, seq, 5000):
        yield from page
        seq = page[-1]["seq"]

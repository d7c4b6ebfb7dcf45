"""The table of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.tables import Signature
from loopline.ports.database import Row, Transaction
from loopline.usecases.serving.rules.model import Declared, Rules

COLUMNS = "reference, name, number, content_digest, declared, put_at, put_by"


def add(tx: Transaction, given: Rules) -> None:
    values = msgspec.structs.asdict(given) | {"declared": msgspec.json.encode(given.declared).decode()}
    tx.run(
        "INSERT INTO serving_rules (reference, name, number, content_digest, source, declared, put_at, put_by)"
        " VALUES (:reference, :name, :number, :digest, :source, :declared, :put_at, :put_by)",
        values,
    )


def newest(tx: Transaction, name: str) -> Rules | None:
    row = tx.row(f"SELECT {COLUMNS} FROM serving_rules WHERE name = :name ORDER BY number DESC LIMIT 1", {"name": name})
    return None if row is None else _rules(row)


def one(tx: Transaction, reference: str) -> Rules | None:
    """One version with its source."""
    row = tx.row(f"SELECT {COLUMNS}, source FROM serving_rules WHERE reference = :reference", {"reference": reference})
    return None if row is None else _rules(row)


def every(tx: Transaction, name: str = "") -> list[Rules]:
    """All versions without their sources, by name, newest first; with `name` only its own."""
    where = "WHERE name = :name" if name else ""
    found = tx.rows(
        f"SELECT {COLUMNS} FROM serving_rules {where} ORDER BY name, number DESC", {"name": name} if name else {}
    )
    return [_rules(row) for row in found]


def digests(tx: Transaction) -> dict[str, Any]:
    """Reference → digest, in the form of an audit."""
    found = tx.rows("SELECT reference, content_digest FROM serving_rules")
    return {f"rules {row['reference']}": row["content_digest"] for row in found}


def signature(of_model: Signature, declared: str | None) -> Signature:
    """The signature of an endpoint with rules (as the table keeps what they declare) around a model."""
    return of_model if declared is None else msgspec.json.decode(declared, type=Declared).signature(of_model)


def _rules(row: Row | Mapping[str, Any]) -> Rules:
    values = dict(row)
    declared = msgspec.json.decode(values.pop("declared"), type=Declared)
    return Rules(digest=values.pop("content_digest"), declared=declared, **values)

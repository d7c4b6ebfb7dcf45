"""Promotion's tables: SQL in, values out."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.promotion.model import Approval, CheckResult, Evidence, Gate, GateConfig, Verdict

ADD_GATE = (
    "INSERT INTO promotion_gates"
    " (seq, id, model, version, alias, champion, verdict, evidence, config, decided_at, decided_by)"
    " VALUES (:seq, :id, :model, :version, :alias, :champion, :verdict, :evidence, :config, :decided_at, :decided_by)"
)
ADD_CHECK = (
    "INSERT INTO promotion_checks (gate, position, name, verdict, value, limit_value, reason, required, evidence)"
    " VALUES (:gate, :position, :name, :verdict, :value, :limit_value, :reason, :required, :evidence)"
)
GATES = (
    "SELECT id, model, version, alias, champion, verdict, evidence, config, decided_at, decided_by FROM promotion_gates"
)
CHECKS = (
    "SELECT name, verdict, value, limit_value, reason, required, evidence FROM promotion_checks"
    " WHERE gate = :gate ORDER BY position"
)
ADD_APPROVAL = (
    "INSERT INTO promotion_approvals (gate, model, version, alias, note, given_at, given_by)"
    " VALUES (:gate, :model, :version, :alias, :note, :given_at, :given_by) ON CONFLICT (gate, given_by) DO NOTHING"
)
APPROVALS = (
    "SELECT gate, model, version, alias, note, given_at, given_by FROM promotion_approvals"
    " WHERE gate = :gate ORDER BY given_at, given_by"
)


def add_gate(tx: Transaction, seq: int, gate: Gate) -> None:
    """Write a gate and its checks; `seq` is that of its fact and says which gate is newest."""
    row: dict[str, Any] = {"seq": seq} | {
        name: getattr(gate, name) for name in ("id", "model", "version", "alias", "champion")
    }
    row |= {"decided_at": gate.decided_at, "decided_by": gate.decided_by, "verdict": gate.verdict.value}
    tx.run(ADD_GATE, row | {"evidence": _text(gate.evidence), "config": _text(gate.config)})
    tx.run_many(ADD_CHECK, [_check_row(gate.id, place, check) for place, check in enumerate(gate.checks)])


def gate(tx: Transaction, gate_id: str) -> Gate | None:
    """One gate or None."""
    row = tx.row(f"{GATES} WHERE id = :id", {"id": gate_id})
    return None if row is None else _gate(tx, row)


def newest_gate(tx: Transaction, model: str, version: int, alias: str | None) -> Gate | None:
    """The last gate of a version, for one alias or any."""
    where = "WHERE model = :model AND version = :version" + ("" if alias is None else " AND alias = :alias")
    params: dict[str, Any] = {"model": model, "version": version} | ({} if alias is None else {"alias": alias})
    row = tx.row(f"{GATES} {where} ORDER BY seq DESC LIMIT 1", params)
    return None if row is None else _gate(tx, row)


def gates(tx: Transaction, model: str, limit: int) -> list[Gate]:
    """The newest gates, of one model or ('') of all, newest first."""
    where = "WHERE model = :model" if model else ""
    params: dict[str, Any] = {"limit": limit} | ({"model": model} if model else {})
    return [_gate(tx, row) for row in tx.rows(f"{GATES} {where} ORDER BY seq DESC LIMIT :limit", params)]


def add_approval(tx: Transaction, approval: Approval) -> bool:
    """Write an approval; False when this person had already given it."""
    return tx.run(ADD_APPROVAL, msgspec.structs.asdict(approval)) > 0


def approvals(tx: Transaction, gate: str) -> tuple[Approval, ...]:
    """Who said yes to a gate's evidence."""
    return tuple(Approval(**row) for row in map(dict, tx.rows(APPROVALS, {"gate": gate})))


def _check_row(gate: str, place: int, check: CheckResult) -> dict[str, Any]:
    row = {"gate": gate, "position": place, "name": check.name, "verdict": check.verdict.value, "value": check.value}
    row |= {"limit_value": check.limit, "reason": check.reason, "required": int(check.required)}
    return row | {"evidence": _text(check.evidence)}


def _gate(tx: Transaction, row: Row) -> Gate:
    return Gate(
        id=row["id"],
        model=row["model"],
        version=row["version"],
        alias=row["alias"],
        champion=row["champion"],
        verdict=Verdict(row["verdict"]),
        checks=tuple(_check(found) for found in tx.rows(CHECKS, {"gate": row["id"]})),
        evidence=msgspec.json.decode(row["evidence"], type=Evidence),
        config=msgspec.json.decode(row["config"], type=GateConfig),
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
    )


def _check(row: Row) -> CheckResult:
    return CheckResult(
        name=row["name"],
        verdict=Verdict(row["verdict"]),
        value=row["value"],
        limit=row["limit_value"],
        reason=row["reason"],
        required=bool(row["required"]),
        evidence=msgspec.json.decode(row["evidence"]),
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()

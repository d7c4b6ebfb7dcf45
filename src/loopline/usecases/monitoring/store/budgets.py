"""Limits that budgets led to, and backtests that were kept: SQL in, values out."""

from __future__ import annotations

import msgspec

from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model.budget.results import Backtest, Choice

CHOICES = "SELECT choice FROM monitoring_budgets WHERE endpoint = :endpoint ORDER BY chosen_at, until_at"
NEWEST = (
    "SELECT choice FROM monitoring_budgets WHERE endpoint = :endpoint ORDER BY chosen_at DESC, until_at DESC LIMIT 1"
)
PUT_CHOICE = (
    "INSERT INTO monitoring_budgets (endpoint, basis, until_at, choice, chosen_at)"
    " VALUES (:endpoint, :basis, :until_at, :choice, :chosen_at)"
    " ON CONFLICT (endpoint, basis) DO UPDATE SET choice = excluded.choice, chosen_at = excluded.chosen_at"
)
ADD_BACKTEST = (
    "INSERT INTO monitoring_backtests (id, endpoint, asked_by, asked_at, result)"
    " VALUES (:id, :endpoint, :asked_by, :asked_at, :result)"
)
BACKTESTS = "SELECT result FROM monitoring_backtests WHERE endpoint = :endpoint ORDER BY asked_at DESC LIMIT :limit"


def choice(tx: Transaction, endpoint: str) -> Choice | None:
    """The newest limits that were chosen, or None."""
    row = tx.row(NEWEST, {"endpoint": endpoint})
    return None if row is None else msgspec.json.decode(row["choice"], type=Choice)


def choices(tx: Transaction, endpoint: str) -> list[Choice]:
    """All limits that were ever chosen, oldest first."""
    return [msgspec.json.decode(row["choice"], type=Choice) for row in tx.rows(CHOICES, {"endpoint": endpoint})]


def put_choice(tx: Transaction, chosen: Choice, at: str) -> None:
    """Write the limits of a budget; the same basis replaces what it led to before."""
    row = {"endpoint": chosen.endpoint, "basis": chosen.basis, "until_at": chosen.until, "chosen_at": at}
    tx.run(PUT_CHOICE, row | {"choice": msgspec.json.encode(chosen).decode()})


def add_backtest(tx: Transaction, backtest_id: str, found: Backtest, actor: str, at: str) -> None:
    """Keep what a backtest found."""
    row = {"id": backtest_id, "endpoint": found.endpoint, "asked_by": actor, "asked_at": at}
    tx.run(ADD_BACKTEST, row | {"result": msgspec.json.encode(found).decode()})


def backtests(tx: Transaction, endpoint: str, limit: int = 20) -> list[Backtest]:
    """Those that were kept, newest first."""
    rows = tx.rows(BACKTESTS, {"endpoint": endpoint, "limit": limit})
    return [msgspec.json.decode(row["result"], type=Backtest) for row in rows]

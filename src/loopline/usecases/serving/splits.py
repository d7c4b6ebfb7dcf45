"""The tables of splits, verdicts and counts: SQL in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.serving.model import Count, Split, Verdict
from loopline.usecases.serving.traffic import Traffic, decoded

VERDICT = "SELECT endpoint, revision, arm, verdict, reason, evidence, at FROM serving_verdicts"
SPLIT = "SELECT endpoint, traffic, from_at, until_at, actor, why FROM serving_splits"


def put(tx: Transaction, endpoint: str, traffic: Traffic | None, at: str, actor: str, why: str) -> None:
    """Have an endpoint's requests shared out so from `at` on (None: no more), with its history."""
    text = "" if traffic is None else msgspec.json.encode(traffic).decode()
    values = {"endpoint": endpoint, "traffic": text, "at": at, "actor": actor, "why": why}
    tx.run("UPDATE serving_endpoints SET traffic = :traffic WHERE name = :endpoint", values)
    tx.run("UPDATE serving_splits SET until_at = :at WHERE endpoint = :endpoint AND until_at IS NULL", values)
    if traffic is not None:
        tx.run(
            "INSERT INTO serving_splits (endpoint, traffic, from_at, actor, why)"
            " VALUES (:endpoint, :traffic, :at, :actor, :why)",
            values,
        )


def history(tx: Transaction, endpoint: str) -> list[Split]:
    """How requests were shared out when, newest first."""
    found = tx.rows(f"{SPLIT} WHERE endpoint = :endpoint ORDER BY seq DESC", {"endpoint": endpoint})
    return [_split(row) for row in found]


def split_at(tx: Transaction, endpoint: str, at: str) -> Split | None:
    """How requests were shared out at a moment."""
    row = tx.row(
        f"{SPLIT} WHERE endpoint = :endpoint AND from_at <= :at AND (until_at IS NULL OR until_at > :at)"
        " ORDER BY seq DESC LIMIT 1",
        {"endpoint": endpoint, "at": at},
    )
    return None if row is None else _split(row)


def put_verdict(tx: Transaction, given: Verdict) -> None:
    values = msgspec.structs.asdict(given) | {"evidence": msgspec.json.encode(given.evidence).decode()}
    tx.run(
        "INSERT INTO serving_verdicts (endpoint, revision, arm, verdict, reason, evidence, at)"
        " VALUES (:endpoint, :revision, :arm, :verdict, :reason, :evidence, :at)",
        values,
    )


def verdicts(tx: Transaction, endpoint: str, most: int) -> list[Verdict]:
    """The newest verdicts, newest first."""
    found = tx.rows(
        f"{VERDICT} WHERE endpoint = :endpoint ORDER BY seq DESC LIMIT :most", {"endpoint": endpoint, "most": most}
    )
    return [Verdict(**{**row, "evidence": msgspec.json.decode(row["evidence"])}) for row in found]


def count(tx: Transaction, counts: Sequence[Count], at: str) -> None:
    """Add to what was counted before."""
    for each in counts:
        tx.run(
            "INSERT INTO serving_counts (endpoint, revision, arm, answered, failed, dropped, counted_at)"
            " VALUES (:endpoint, :revision, :arm, :answered, :failed, :dropped, :at)"
            " ON CONFLICT (endpoint, revision, arm) DO UPDATE SET answered = serving_counts.answered + :answered,"
            " failed = serving_counts.failed + :failed, dropped = serving_counts.dropped + :dropped, counted_at = :at",
            msgspec.structs.asdict(each) | {"at": at},
        )


def forget_counts(tx: Transaction, endpoint: str, revision: int) -> None:
    """Count a revision from now on: another split begins."""
    tx.run(
        "DELETE FROM serving_counts WHERE endpoint = :endpoint AND revision = :revision",
        {"endpoint": endpoint, "revision": revision},
    )


def counts(tx: Transaction, endpoint: str, revisions: Sequence[int]) -> list[Count]:
    """What was counted of some revisions."""
    found = tx.rows(
        "SELECT endpoint, revision, arm, answered, failed, dropped FROM serving_counts WHERE endpoint = :endpoint",
        {"endpoint": endpoint},
    )
    return [Count(**row) for row in found if row["revision"] in revisions]


def set_status(tx: Transaction, endpoint: str, revision: int, status: str, at: str | None) -> None:
    """A revision beside the live one is up (`at` None), or over."""
    tx.run(
        "UPDATE serving_revisions SET status = :status, ended_at = :at WHERE endpoint = :endpoint"
        " AND revision = :revision",
        {"endpoint": endpoint, "revision": revision, "status": status, "at": at},
    )


def shared(tx: Transaction) -> dict[str, Any]:
    """Endpoint to how its requests are shared out, of those whose are."""
    rows: list[Row] = tx.rows("SELECT name, traffic FROM serving_endpoints WHERE traffic <> '' AND retired_at IS NULL")
    return {row["name"]: msgspec.json.decode(row["traffic"]) for row in rows}


def _split(row: Row) -> Split:
    traffic = decoded(row["traffic"])
    return Split(**{**row, "traffic": traffic or Traffic()})

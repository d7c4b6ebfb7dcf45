"""The tables of cards, of what was pinned, and of who fetched a version: SQL in, values out."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.ports.database import Transaction
from loopline.usecases.registry.card_model import Download, Pin, Revision

REVISIONS = "SELECT revision, digest, owner, written_at, written_by FROM registry_cards"
ADD = (
    "INSERT INTO registry_cards (model, version, revision, digest, owner, written_at, written_by)"
    " VALUES (:model, :version, :revision, :digest, :owner, :written_at, :written_by)"
)
PINS = "SELECT alias, revision, pinned_at FROM registry_card_pins"
PIN = (
    "INSERT INTO registry_card_pins (seq, model, version, alias, revision, pinned_at) SELECT :seq, :model, :version,"
    " :alias, MAX(revision), :at FROM registry_cards WHERE model = :model AND version = :version"
    " HAVING MAX(revision) IS NOT NULL"
)
OWNERS = (
    "SELECT c.model, c.owner FROM registry_cards c JOIN (SELECT model, MAX(version) AS version FROM registry_cards"
    " GROUP BY model) n ON n.model = c.model AND n.version = c.version ORDER BY c.model, c.revision"
)
NEWEST = (
    "SELECT v.model, v.created_at, v.created_by, v.servable, v.format FROM registry_versions v JOIN (SELECT model,"
    " MAX(version) AS version FROM registry_versions GROUP BY model) n ON n.model = v.model AND n.version = v.version"
)
FETCHED = (
    "INSERT INTO registry_downloads (model, version, who, how, day) VALUES (:model, :version, :who, :how, :day)"
    " ON CONFLICT DO NOTHING"
)


def revisions(tx: Transaction, model: str, version: int) -> list[Revision]:
    """All revisions of a card, oldest first."""
    where = "WHERE model = :model AND version = :version ORDER BY revision"
    found = tx.rows(f"{REVISIONS} {where}", {"model": model, "version": version})
    return [Revision(**{name: row[name] for name in Revision.__struct_fields__}) for row in found]


def add(tx: Transaction, model: str, version: int, revision: Revision) -> None:
    """Write a revision."""
    tx.run(ADD, {"model": model, "version": version, **msgspec.structs.asdict(revision)})


def pin(tx: Transaction, seq: int, model: str, version: int, alias: str, at: str) -> None:
    """Note which revision stood when an alias moved there; nothing when the version has no card."""
    tx.run(PIN, {"seq": seq, "model": model, "version": version, "alias": alias, "at": at})


def pins(tx: Transaction, model: str, version: int) -> list[Pin]:
    """What was pinned of a version, oldest first."""
    where = "WHERE model = :model AND version = :version ORDER BY seq"
    found = tx.rows(f"{PINS} {where}", {"model": model, "version": version})
    return [Pin(alias=row["alias"], revision=row["revision"], pinned_at=row["pinned_at"]) for row in found]


def owners(tx: Transaction) -> dict[str, str]:
    """Who owns each model, as the newest card of its newest version with one says."""
    return {row["model"]: row["owner"] for row in tx.rows(OWNERS)}


def newest(tx: Transaction) -> dict[str, dict[str, Any]]:
    """The newest version of each model: when and by whom it was registered, its format, whether it can be served."""
    return {row["model"]: dict(row) for row in tx.rows(NEWEST)}


def fetched(tx: Transaction, model: str, version: int, who: str, how: str, day: str) -> None:
    """Note who fetched a version, once a day."""
    tx.run(FETCHED, {"model": model, "version": version, "who": who, "how": how, "day": day})


def downloads(tx: Transaction, model: str, version: int = 0) -> list[Download]:
    """Who fetched versions of a model (or one version), how, on how many days and last when."""
    where = "WHERE model = :model" + (" AND version = :version" if version else "")
    found = tx.rows(
        "SELECT version, who, how, COUNT(*) AS days, MAX(day) AS last FROM registry_downloads"
        f" {where} GROUP BY version, who, how ORDER BY last DESC, who, version LIMIT 200",
        {"model": model} | ({"version": version} if version else {}),
    )
    return [Download(**{name: row[name] for name in Download.__struct_fields__}) for row in found]

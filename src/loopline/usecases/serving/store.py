"""The tables of serving: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from loopline.core.tables import Signature
from loopline.ports.database import Row, Transaction
from loopline.usecases.serving import options, traffic
from loopline.usecases.serving.model import FAILED, LIVE, REQUESTED, RETIRED, Endpoint, Revision, Served
from loopline.usecases.serving.rules import rows as rules

ENDPOINT = """SELECT name, model, alias, followed_version, "key", event_time, live_revision, wanted_revision,
 created_at, created_by, options, traffic FROM serving_endpoints"""
REVISION = """SELECT endpoint, revision, model, version, digest, signature, status, reason, requested_at, requested_by,
 live_at, ended_at, rules, declared FROM serving_revisions LEFT JOIN serving_rules ON reference = rules"""
SERVED = "SELECT endpoint, revision, model, version, from_at, until_at, actor FROM serving_live_history"


def endpoints(tx: Transaction) -> list[Endpoint]:
    """All endpoints by name, without those that were retired."""
    return [_endpoint(row) for row in tx.rows(f"{ENDPOINT} WHERE retired_at IS NULL ORDER BY name")]


def rows_of_endpoints(tx: Transaction) -> list[Row]:
    """The same as it is stored, to see at little cost which of them changed."""
    return tx.rows(f"{ENDPOINT} WHERE retired_at IS NULL ORDER BY name")


def endpoint(tx: Transaction, name: str) -> Endpoint | None:
    row = tx.row(f"{ENDPOINT} WHERE name = :name AND retired_at IS NULL", {"name": name})
    return None if row is None else _endpoint(row)


def ever(tx: Transaction, name: str) -> Endpoint | None:
    """An endpoint, also one that was retired: its logs are still there."""
    row = tx.row(f"{ENDPOINT} WHERE name = :name", {"name": name})
    return None if row is None else _endpoint(row)


def followers(tx: Transaction) -> list[Row]:
    """Endpoints that follow an alias: name, model, alias, followed_version."""
    return tx.rows(
        "SELECT name, model, alias, followed_version FROM serving_endpoints"
        " WHERE alias IS NOT NULL AND retired_at IS NULL"
    )


def by_hand(tx: Transaction, name: str) -> Row | None:
    """live_revision of an endpoint that follows an alias and serves another version than it was followed to."""
    return tx.row(
        "SELECT e.live_revision FROM serving_endpoints e JOIN serving_revisions r ON r.endpoint = e.name"
        " AND r.revision = e.live_revision WHERE e.name = :name AND e.alias IS NOT NULL AND e.retired_at IS NULL"
        " AND e.followed_version IS NOT NULL AND e.live_revision = e.wanted_revision"
        " AND r.version <> e.followed_version",
        {"name": name},
    )


def put_endpoint(tx: Transaction, values: Mapping[str, Any]) -> None:
    tx.run(
        'INSERT INTO serving_endpoints (name, model, alias, "key", event_time, created_at, created_by)'
        " VALUES (:name, :model, :alias, :key, :event_time, :created_at, :created_by)"
        ' ON CONFLICT (name) DO UPDATE SET model = :model, alias = :alias, "key" = :key, event_time = :event_time,'
        " retired_at = NULL",
        values,
    )


def retire_endpoint(tx: Transaction, name: str, at: str) -> None:
    """Serve nothing any more, and follow no alias, until the endpoint is put again."""
    tx.run(
        "UPDATE serving_endpoints SET retired_at = :at, live_revision = NULL, wanted_revision = NULL,"
        " followed_version = NULL WHERE name = :name",
        {"name": name, "at": at},
    )


def follow(tx: Transaction, name: str, version: int) -> None:
    """Remember to which version the alias of an endpoint was followed."""
    tx.run(
        "UPDATE serving_endpoints SET followed_version = :version WHERE name = :name",
        {"name": name, "version": version},
    )


def put_options(tx: Transaction, name: str, wished: options.Options) -> None:
    text = msgspec.json.encode(wished).decode()
    tx.run("UPDATE serving_endpoints SET options = :options WHERE name = :name", {"name": name, "options": text})


def want(tx: Transaction, name: str, revision: int | None) -> None:
    """Say which revision shall be live."""
    tx.run(
        "UPDATE serving_endpoints SET wanted_revision = :revision WHERE name = :name",
        {"name": name, "revision": revision},
    )


def revisions(tx: Transaction, endpoint: str) -> list[Revision]:
    """All revisions of an endpoint, newest first."""
    found = tx.rows(f"{REVISION} WHERE endpoint = :endpoint ORDER BY revision DESC", {"endpoint": endpoint})
    return [_revision(row) for row in found]


def revision(tx: Transaction, endpoint: str, number: int) -> Revision | None:
    row = tx.row(
        f"{REVISION} WHERE endpoint = :endpoint AND revision = :number", {"endpoint": endpoint, "number": number}
    )
    return None if row is None else _revision(row)


def model_signature(tx: Transaction, given: Revision) -> Signature:
    """The signature of the model in a revision, without its rules."""
    row = tx.row(
        "SELECT signature FROM serving_revisions WHERE endpoint = :endpoint AND revision = :revision",
        {"endpoint": given.endpoint, "revision": given.revision},
    )
    return given.signature if row is None else msgspec.json.decode(row["signature"], type=Signature)


def next_revision(tx: Transaction, endpoint: str) -> int:
    row = tx.row(
        "SELECT COALESCE(MAX(revision), 0) + 1 AS next FROM serving_revisions WHERE endpoint = :endpoint",
        {"endpoint": endpoint},
    )
    return int(row["next"]) if row else 1


def insert_revision(tx: Transaction, given: Revision) -> None:
    values = msgspec.structs.asdict(given) | {"signature": msgspec.json.encode(given.signature).decode()}
    tx.run(
        "INSERT INTO serving_revisions (endpoint, revision, model, version, digest, signature, status, reason,"
        " requested_at, requested_by, rules) VALUES (:endpoint, :revision, :model, :version, :digest, :signature, :status,"
        " :reason, :requested_at, :requested_by, :rules)",
        values,
    )


def before(tx: Transaction, endpoint: str, number: int) -> Revision | None:
    """The newest revision below `number` that was live and was not itself rolled back."""
    row = tx.row(
        f"{REVISION} WHERE endpoint = :endpoint AND revision < :number AND live_at IS NOT NULL"
        " AND rolled_back_at IS NULL ORDER BY revision DESC LIMIT 1",
        {"endpoint": endpoint, "number": number},
    )
    return None if row is None else _revision(row)


def set_rolled_back(tx: Transaction, endpoint: str, number: int, at: str | None) -> None:
    tx.run(
        "UPDATE serving_revisions SET rolled_back_at = :at WHERE endpoint = :endpoint AND revision = :number",
        {"endpoint": endpoint, "number": number, "at": at},
    )


def set_live(tx: Transaction, given: Revision, at: str, actor: str) -> None:
    """Make a revision the live one from `at` on."""
    key = {"endpoint": given.endpoint, "revision": given.revision, "at": at}
    tx.run("UPDATE serving_endpoints SET live_revision = :revision WHERE name = :endpoint", key)
    tx.run(
        f"UPDATE serving_revisions SET status = '{LIVE}', live_at = :at, ended_at = NULL, rolled_back_at = NULL,"
        " reason = '' WHERE endpoint = :endpoint AND revision = :revision",
        key,
    )
    tx.run(
        "INSERT INTO serving_live_history (endpoint, revision, model, version, from_at, actor)"
        " VALUES (:endpoint, :revision, :model, :version, :at, :actor)",
        key | {"model": given.model, "version": given.version, "actor": actor},
    )


def set_retired(tx: Transaction, endpoint: str, number: int, at: str) -> None:
    key = {"endpoint": endpoint, "revision": number, "at": at}
    tx.run(
        f"UPDATE serving_revisions SET status = '{RETIRED}', ended_at = :at"
        " WHERE endpoint = :endpoint AND revision = :revision",
        key,
    )
    tx.run("UPDATE serving_live_history SET until_at = :at WHERE endpoint = :endpoint AND until_at IS NULL", key)


def set_requested(tx: Transaction, endpoint: str, number: int) -> None:
    """A revision that once failed, or was overtaken before it was live, is tried again."""
    tx.run(
        f"UPDATE serving_revisions SET status = '{REQUESTED}', reason = '' WHERE endpoint = :endpoint"
        f" AND revision = :revision AND (status = '{FAILED}' OR status = '{RETIRED}' AND live_at IS NULL)",
        {"endpoint": endpoint, "revision": number},
    )


def set_failed(tx: Transaction, endpoint: str, number: int, at: str, reason: str) -> None:
    tx.run(
        f"UPDATE serving_revisions SET status = '{FAILED}', ended_at = :at, reason = :reason"
        " WHERE endpoint = :endpoint AND revision = :revision",
        {"endpoint": endpoint, "revision": number, "at": at, "reason": reason},
    )


def history(tx: Transaction, endpoint: str) -> list[Served]:
    """What was live when, newest first."""
    found = tx.rows(f"{SERVED} WHERE endpoint = :endpoint ORDER BY from_at DESC, seq DESC", {"endpoint": endpoint})
    return [Served(**row) for row in found]


def live_at(tx: Transaction, endpoint: str, at: str) -> Served | None:
    """What was live at a moment."""
    row = tx.row(
        f"{SERVED} WHERE endpoint = :endpoint AND from_at <= :at AND (until_at IS NULL OR until_at > :at)"
        " ORDER BY seq DESC LIMIT 1",
        {"endpoint": endpoint, "at": at},
    )
    return None if row is None else Served(**row)


def live(tx: Transaction) -> dict[str, Any]:
    """Endpoint to its live revision and version."""
    found = tx.rows(
        "SELECT e.name, e.live_revision, r.version FROM serving_endpoints e LEFT JOIN serving_revisions r"
        " ON r.endpoint = e.name AND r.revision = e.live_revision WHERE e.live_revision IS NOT NULL"
    )
    return {row["name"]: {"revision": row["live_revision"], "version": row["version"]} for row in found}


def sealed(tx: Transaction, kind: str, endpoint: str) -> dict[str, str]:
    """File name to digest of what was sealed and is still there (`kind`: predictions, truth or shadows)."""
    found = tx.rows(
        "SELECT file, digest FROM serving_sealed WHERE kind = :kind AND endpoint = :endpoint AND ended_at IS NULL",
        {"kind": kind, "endpoint": endpoint},
    )
    return {row["file"]: row["digest"] for row in found}


def insert_sealed(tx: Transaction, values: Mapping[str, Any]) -> int:
    """Remember a sealed file; 0 when it is known already."""
    return tx.run(
        "INSERT INTO serving_sealed (kind, endpoint, file, digest, rows, sealed_at)"
        " VALUES (:kind, :endpoint, :file, :digest, :rows, :sealed_at) ON CONFLICT (kind, endpoint, file) DO NOTHING",
        values,
    )


def end_sealed(tx: Transaction, kind: str, endpoint: str, files: Iterable[str], why: str, at: str) -> None:
    """These files were replaced or removed: `why` is compacted, erased or expired."""
    for file in files:
        tx.run(
            "UPDATE serving_sealed SET ended_at = :at, ended_as = :why"
            " WHERE kind = :kind AND endpoint = :endpoint AND file = :file AND ended_at IS NULL",
            {"kind": kind, "endpoint": endpoint, "file": file, "why": why, "at": at},
        )


def sealed_rows(tx: Transaction, kind: str, endpoint: str, files: Iterable[str]) -> int:
    """How many rows these sealed files held together."""
    total = 0
    for file in files:
        row = tx.row(
            "SELECT rows FROM serving_sealed WHERE kind = :kind AND endpoint = :endpoint AND file = :file",
            {"kind": kind, "endpoint": endpoint, "file": file},
        )
        total += int(row["rows"]) if row else 0
    return total


def insert_erasure(tx: Transaction, values: Mapping[str, Any]) -> None:
    tx.run(
        "INSERT INTO serving_erasures (id, endpoint, field, subject_hash, asked_at, asked_by, predictions, truth)"
        " VALUES (:id, :endpoint, :field, :subject_hash, :asked_at, :asked_by, 0, 0)",
        values,
    )


def open_erasures(tx: Transaction, endpoint: str) -> list[Row]:
    """Erasures that were asked for and not finished, oldest first."""
    return tx.rows(
        "SELECT id, field, subject_hash, asked_by, predictions, truth FROM serving_erasures"
        " WHERE endpoint = :endpoint AND finished_at IS NULL ORDER BY asked_at, id",
        {"endpoint": endpoint},
    )


def erasures(tx: Transaction, endpoint: str) -> list[Row]:
    """All erasures of an endpoint, newest first."""
    return tx.rows(
        "SELECT id, endpoint, field, subject_hash, asked_at, asked_by, finished_at, predictions, truth"
        " FROM serving_erasures WHERE endpoint = :endpoint ORDER BY asked_at DESC, id",
        {"endpoint": endpoint},
    )


def count_erased(tx: Transaction, erasure: str, kind: str, rows: int) -> None:
    """Add to what an erasure has removed so far (`kind`: predictions or truth; copies that shadows saw do not count)."""
    column = {"predictions": "predictions", "truth": "truth"}.get(kind)
    if column is None:
        return
    tx.run(f"UPDATE serving_erasures SET {column} = {column} + :rows WHERE id = :id", {"id": erasure, "rows": rows})


def finish_erasure(tx: Transaction, erasure: str, at: str) -> None:
    tx.run("UPDATE serving_erasures SET finished_at = :at WHERE id = :id", {"id": erasure, "at": at})


def _endpoint(row: Row) -> Endpoint:
    values = {name: row[name] for name in ("name", "model", "alias", "key", "event_time", "created_at", "created_by")}
    return Endpoint(
        **values,
        live=row["live_revision"],
        wanted=row["wanted_revision"],
        options=options.decoded(row["options"]),
        traffic=traffic.decoded(row["traffic"]),
    )


def _revision(row: Row) -> Revision:
    values = dict(row)
    of_model, declared = msgspec.json.decode(values.pop("signature"), type=Signature), values.pop("declared")
    return Revision(**values, signature=rules.signature(of_model, declared))

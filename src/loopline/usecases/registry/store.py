"""The registry's tables: SQL in, values out."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.tables import Signature
from loopline.ports.database import Row, Transaction
from loopline.usecases.registry.model import AliasMove, RegisteredModel, Version, alias_key, version_key

_VERSION_COLUMNS = (
    "model, version, digest, format, signature, metrics, profile_digest, evaluation_digest, run_id, metadata, "
    "servable, created_at, created_by"
)
_VERSION_PARAMS = ", ".join(":" + name.strip() for name in _VERSION_COLUMNS.split(","))
ADD_MODEL = (
    "INSERT INTO registry_models (name, last_version, created_at, created_by) VALUES (:name, 0, :at, :actor) "
    "ON CONFLICT (name) DO NOTHING"
)
NEXT_VERSION = "UPDATE registry_models SET last_version = last_version + 1 WHERE name = :name"
LAST_VERSION = "SELECT last_version FROM registry_models WHERE name = :name"
ADD_VERSION = f"INSERT INTO registry_versions ({_VERSION_COLUMNS}) VALUES ({_VERSION_PARAMS})"
VERSIONS = f"SELECT {_VERSION_COLUMNS} FROM registry_versions"
MODELS = (
    "SELECT m.name, m.last_version, m.created_at, m.created_by, COUNT(v.version) AS versions FROM registry_models m "
    "LEFT JOIN registry_versions v ON v.model = m.name GROUP BY m.name, m.last_version, m.created_at, m.created_by "
    "ORDER BY m.name"
)
ALIASES = "SELECT model, alias, version FROM registry_aliases"
POINT = (
    "INSERT INTO registry_aliases (model, alias, version, moved_at) VALUES (:model, :alias, :version, :at) "
    "ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version, moved_at = excluded.moved_at"
)
ADD_MOVE = (
    "INSERT INTO registry_alias_history (seq, model, alias, from_version, version, reason, actor, moved_at) "
    "VALUES (:seq, :model, :alias, :from_version, :version, :reason, :actor, :moved_at)"
)
MOVES = (
    "SELECT seq, model, alias, from_version, version, reason, actor, moved_at FROM registry_alias_history "
    "WHERE model = :model AND alias = :alias AND moved_at <= :at ORDER BY seq"
)
END_OF_TIME = "9999"


def next_version(tx: Transaction, model: str, at: str, actor: str) -> int:
    """A new number for `model`, which is created when it is new. The row stays locked until the commit."""
    tx.run(ADD_MODEL, {"name": model, "at": at, "actor": actor})
    tx.run(NEXT_VERSION, {"name": model})
    row = tx.row(LAST_VERSION, {"name": model})
    return int(row["last_version"]) if row else 0


def add_version(tx: Transaction, version: Version) -> None:
    """Write a version's row."""
    params: dict[str, Any] = {name: getattr(version, name) for name in version.__struct_fields__ if name != "aliases"}
    for name in ("signature", "metrics", "metadata"):
        params[name] = msgspec.json.encode(params[name]).decode()
    tx.run(ADD_VERSION, params)


def versions(tx: Transaction, model: str) -> list[Version]:
    """All versions of a model, oldest first."""
    found = tx.rows(f"{VERSIONS} WHERE model = :model ORDER BY version", {"model": model})
    pointing = _pointing(tx, model)
    return [_version(row, pointing) for row in found]


def version(tx: Transaction, model: str, number: int) -> Version | None:
    """One version or None."""
    row = tx.row(f"{VERSIONS} WHERE model = :model AND version = :version", {"model": model, "version": number})
    return None if row is None else _version(row, _pointing(tx, model))


def version_of_run(tx: Transaction, model: str, run_id: str, digest: str) -> Version | None:
    """The version that this run already registered from these bytes, or None."""
    where = "WHERE model = :model AND run_id = :run_id AND digest = :digest"
    row = tx.row(f"{VERSIONS} {where}", {"model": model, "run_id": run_id, "digest": digest})
    return None if row is None else _version(row, _pointing(tx, model))


def versions_of_run(tx: Transaction, run_id: str) -> list[Version]:
    """All versions that a run registered."""
    found = tx.rows(f"{VERSIONS} WHERE run_id = :run_id ORDER BY model, version", {"run_id": run_id})
    return [_version(row, _pointing(tx, row["model"])) for row in found]


def models(tx: Transaction) -> list[RegisteredModel]:
    """All registered models by name."""
    aliases: dict[str, dict[str, int]] = {}
    for row in tx.rows(f"{ALIASES} ORDER BY model, alias"):
        aliases.setdefault(row["model"], {})[row["alias"]] = row["version"]
    return [
        RegisteredModel(
            name=row["name"],
            latest=row["last_version"],
            versions=row["versions"],
            aliases=aliases.get(row["name"], {}),
            created_at=row["created_at"],
            created_by=row["created_by"],
        )
        for row in tx.rows(MODELS)
    ]


def aliases(tx: Transaction, model: str) -> dict[str, int]:
    """Alias → version of one model."""
    found = tx.rows(f"{ALIASES} WHERE model = :model ORDER BY alias", {"model": model})
    return {row["alias"]: int(row["version"]) for row in found}


def all_aliases(tx: Transaction) -> dict[str, int]:
    """{"model@alias": version} of the whole registry."""
    return {alias_key(row["model"], row["alias"]): int(row["version"]) for row in tx.rows(ALIASES)}


def all_digests(tx: Transaction) -> dict[str, str]:
    """{"model/version": digest} of the whole registry."""
    found = tx.rows("SELECT model, version, digest FROM registry_versions")
    return {version_key(row["model"], row["version"]): str(row["digest"]) for row in found}


def moves(tx: Transaction, model: str, alias: str, until: str = END_OF_TIME) -> list[AliasMove]:
    """The moves of an alias up to a time, oldest first."""
    found = tx.rows(MOVES, {"model": model, "alias": alias, "at": until})
    return [AliasMove(**{name: row[name] for name in AliasMove.__struct_fields__}) for row in found]


def point(tx: Transaction, move: AliasMove) -> None:
    """Move an alias and remember the move."""
    tx.run(POINT, {"model": move.model, "alias": move.alias, "version": move.version, "at": move.moved_at})
    tx.run(ADD_MOVE, msgspec.structs.asdict(move))


def _pointing(tx: Transaction, model: str) -> dict[int, tuple[str, ...]]:
    pointing: dict[int, tuple[str, ...]] = {}
    for alias, number in aliases(tx, model).items():
        pointing[number] = (*pointing.get(number, ()), alias)
    return pointing


def _version(row: Row, pointing: dict[int, tuple[str, ...]]) -> Version:
    values = {name: row[name] for name in Version.__struct_fields__ if name != "aliases"}
    values["signature"] = msgspec.json.decode(values["signature"], type=Signature)
    values["metrics"] = msgspec.json.decode(values["metrics"])
    values["metadata"] = msgspec.json.decode(values["metadata"])
    values["servable"] = bool(values["servable"])
    return Version(**values, aliases=pointing.get(values["version"], ()))

"""The registry's tables: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from loopline.core.tables import Signature
from loopline.ports.database import Row, Transaction
from loopline.usecases.registry.model import AliasMove, RegisteredModel, Version, alias_key, stage_key, version_key

_VERSION_COLUMNS = (
    "model, version, digest, format, signature, metrics, profile_digest, evaluation_digest, run_id, metadata, "
    "servable, created_at, created_by, updated_at, user_id, source, run_link, model_id, status, status_message, stage, "
    "description"
)
_BESIDE = ("aliases", "tags")
_OF_MODEL = (
    "registry_versions",
    "registry_version_tags",
    "registry_model_tags",
    "registry_aliases",
    "registry_alias_history",
    "registry_cards",
    "registry_card_pins",
    "registry_downloads",
    "registry_engines",
)
_VERSION_PARAMS = ", ".join(":" + name.strip() for name in _VERSION_COLUMNS.split(","))
ADD_MODEL = (
    "INSERT INTO registry_models (name, last_version, created_at, created_by, updated_at, description) "
    "SELECT :name, COALESCE((SELECT last_version FROM registry_names WHERE name = :name), 0), :at, :actor, :at, "
    ":description WHERE TRUE ON CONFLICT (name) DO NOTHING"
)
NEXT_VERSION = "UPDATE registry_models SET last_version = last_version + 1, updated_at = :at WHERE name = :name"
LAST_VERSION = "SELECT last_version FROM registry_models WHERE name = :name"
ADD_VERSION = f"INSERT INTO registry_versions ({_VERSION_COLUMNS}) VALUES ({_VERSION_PARAMS})"
VERSIONS = f"SELECT {_VERSION_COLUMNS} FROM registry_versions"
MODELS = (
    "SELECT m.name, m.last_version, m.created_at, m.created_by, m.updated_at, m.description, COUNT(v.version) AS "
    "versions FROM registry_models m LEFT JOIN registry_versions v ON v.model = m.name"
)
GROUPED = "GROUP BY m.name, m.last_version, m.created_at, m.created_by, m.updated_at, m.description ORDER BY m.name"
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
    add_model(tx, model, at, actor)
    tx.run(NEXT_VERSION, {"name": model, "at": at})
    row = tx.row(LAST_VERSION, {"name": model})
    return int(row["last_version"]) if row else 0


def skip_to(tx: Transaction, model: str, number: int) -> None:
    """Have the next version get that number, unless numbers have come further already."""
    where = "WHERE name = :name AND last_version < :last"
    tx.run(f"UPDATE registry_models SET last_version = :last {where}", {"name": model, "last": number - 1})


def add_model(tx: Transaction, model: str, at: str, actor: str, description: str = "") -> bool:
    """Whether a model was made: False when it was there. Numbers go on where an earlier model of the name ended."""
    return tx.run(ADD_MODEL, {"name": model, "at": at, "actor": actor, "description": description}) > 0


def add_version(tx: Transaction, version: Version) -> None:
    """Write a version's row."""
    params: dict[str, Any] = {name: getattr(version, name) for name in version.__struct_fields__ if name not in _BESIDE}
    params["updated_at"] = version.updated_at or version.created_at
    for name in ("signature", "metrics", "metadata"):
        params[name] = msgspec.json.encode(params[name]).decode()
    tx.run(ADD_VERSION, params)
    put_tags(tx, version.model, version.tags, version.version)


def versions(tx: Transaction, model: str) -> list[Version]:
    """All versions of a model, oldest first."""
    return _versions(tx, model, tx.rows(f"{VERSIONS} WHERE model = :model ORDER BY version", {"model": model}))


def version(tx: Transaction, model: str, number: int) -> Version | None:
    """One version or None."""
    where = "WHERE model = :model AND version = :version"
    found = _versions(tx, model, tx.rows(f"{VERSIONS} {where}", {"model": model, "version": number}))
    return found[0] if found else None


def version_of_run(tx: Transaction, model: str, run_id: str, digest: str) -> Version | None:
    """The first version that this run already registered from these bytes, or None."""
    where = "WHERE model = :model AND run_id = :run_id AND digest = :digest ORDER BY version"
    found = _versions(
        tx, model, tx.rows(f"{VERSIONS} {where} LIMIT 1", {"model": model, "run_id": run_id, "digest": digest})
    )
    return found[0] if found else None


def versions_of_run(tx: Transaction, run_id: str) -> list[Version]:
    """All versions that a run registered."""
    found = tx.rows(f"{VERSIONS} WHERE run_id = :run_id ORDER BY model, version", {"run_id": run_id})
    return [version for row in found for version in _versions(tx, row["model"], [row])]


def all_versions(tx: Transaction) -> list[Row]:
    """The rows of every version, as a search looks at them: without what is large."""
    return tx.rows("SELECT model, version, run_id, source, created_at, updated_at FROM registry_versions")


def has_digest(tx: Transaction, digest: str) -> bool:
    """Whether any version is made of these bytes."""
    return tx.row("SELECT model FROM registry_versions WHERE digest = :digest LIMIT 1", {"digest": digest}) is not None


def change_version(tx: Transaction, model: str, number: int, at: str, **columns: Any) -> None:
    """Set columns of a version, and when it and its model changed."""
    changes = ", ".join(f"{name} = :{name}" for name in (*columns, "updated_at"))
    where = "WHERE model = :model AND version = :version"
    tx.run(
        f"UPDATE registry_versions SET {changes} {where}",
        {"model": model, "version": number, "updated_at": at, **columns},
    )
    change_model(tx, model, at)


def drop_version(tx: Transaction, model: str, number: int) -> None:
    """Forget a version and its tags. Its number is not given again."""
    params = {"model": model, "version": number}
    for table in ("registry_version_tags", "registry_engines", "registry_versions"):
        tx.run(f"DELETE FROM {table} WHERE model = :model AND version = :version", params)


def models(tx: Transaction) -> list[RegisteredModel]:
    """All registered models by name."""
    return _models(tx, tx.rows(f"{MODELS} {GROUPED}"), tx.rows(f"{ALIASES} ORDER BY model, alias"), model_tags(tx))


def model(tx: Transaction, name: str) -> RegisteredModel | None:
    """One registered model or None."""
    found = tx.rows(f"{MODELS} WHERE m.name = :name {GROUPED}", {"name": name})
    pointing = tx.rows(f"{ALIASES} WHERE model = :name ORDER BY alias", {"name": name})
    made = _models(tx, found, pointing, model_tags(tx, name))
    return made[0] if made else None


def has_model(tx: Transaction, name: str) -> bool:
    """Whether there is a model of that name."""
    return tx.row("SELECT name FROM registry_models WHERE name = :name", {"name": name}) is not None


def change_model(tx: Transaction, name: str, at: str, **columns: Any) -> None:
    """Set columns of a model, and when it changed."""
    changes = ", ".join(f"{column} = :{column}" for column in (*columns, "updated_at"))
    tx.run(f"UPDATE registry_models SET {changes} WHERE name = :name", {"name": name, "updated_at": at, **columns})


def rename_model(tx: Transaction, name: str, new: str, at: str) -> None:
    """Give a model another name, with all that it holds and its history; the old name keeps its count."""
    columns = "last_version, created_at, created_by, description"
    params = {"name": name, "new": new, "at": at}
    tx.run(
        f"INSERT INTO registry_models (name, updated_at, {columns}) SELECT :new, :at, {columns} FROM registry_models "
        "WHERE name = :name",
        params,
    )
    tx.run(
        "UPDATE registry_models SET last_version = MAX(last_version, COALESCE((SELECT n.last_version FROM "
        "registry_names n WHERE n.name = :new), 0)) WHERE name = :new",
        {"new": new},
    )
    tx.run("UPDATE registry_versions SET updated_at = :at WHERE model = :name", {"name": name, "at": at})
    for table in _OF_MODEL:
        tx.run(f"UPDATE {table} SET model = :new WHERE model = :name", {"name": name, "new": new})
    forget_name(tx, name)


def drop_model(tx: Transaction, name: str) -> None:
    """Forget a model that has no versions any more; where its aliases pointed stays known."""
    for table in ("registry_model_tags", "registry_aliases"):
        tx.run(f"DELETE FROM {table} WHERE model = :name", {"name": name})
    forget_name(tx, name)


def forget_name(tx: Transaction, name: str) -> None:
    """Take a name off, and keep the last number given under it."""
    tx.run(
        "INSERT INTO registry_names (name, last_version) SELECT name, last_version FROM registry_models "
        "WHERE name = :name ON CONFLICT (name) DO UPDATE SET last_version = excluded.last_version",
        {"name": name},
    )
    tx.run("DELETE FROM registry_models WHERE name = :name", {"name": name})


def put_tags(tx: Transaction, model: str, tags: Mapping[str, str], number: int | None = None) -> None:
    """Set tags of a model, or of a version of it."""
    table, column, value = ("model", "", "") if number is None else ("version", " version,", " :version,")
    conflict = f"(model,{column} key)"
    statement = (
        f"INSERT INTO registry_{table}_tags (model,{column} key, value) VALUES (:model,{value} :key, :value) "
        f"ON CONFLICT {conflict} DO UPDATE SET value = excluded.value"
    )
    beside = {} if number is None else {"version": number}
    for key, text in tags.items():
        tx.run(statement, {"model": model, "key": key, "value": text, **beside})


def drop_tag(tx: Transaction, model: str, key: str, number: int | None = None) -> bool:
    """Whether there was such a tag, of a model or of a version of it."""
    if number is None:
        return (
            tx.run("DELETE FROM registry_model_tags WHERE model = :model AND key = :key", {"model": model, "key": key})
            > 0
        )
    where = "WHERE model = :model AND version = :version AND key = :key"
    return tx.run(f"DELETE FROM registry_version_tags {where}", {"model": model, "version": number, "key": key}) > 0


def model_tags(tx: Transaction, name: str = "") -> dict[str, dict[str, str]]:
    """Tags by model, of one or of all."""
    where, params = ("WHERE model = :name", {"name": name}) if name else ("", {})
    found: dict[str, dict[str, str]] = {}
    for row in tx.rows(f"SELECT model, key, value FROM registry_model_tags {where} ORDER BY model, key", params):
        found.setdefault(row["model"], {})[row["key"]] = row["value"]
    return found


def version_tags(tx: Transaction, name: str = "") -> dict[tuple[str, int], dict[str, str]]:
    """Tags by model and version, of one model or of all."""
    where, params = ("WHERE model = :name", {"name": name}) if name else ("", {})
    found: dict[tuple[str, int], dict[str, str]] = {}
    statement = f"SELECT model, version, key, value FROM registry_version_tags {where} ORDER BY model, version, key"
    for row in tx.rows(statement, params):
        found.setdefault((row["model"], row["version"]), {})[row["key"]] = row["value"]
    return found


def values_of_tag(tx: Transaction, key: str) -> tuple[dict[str, str], dict[tuple[str, int], str]]:
    """The values of one tag, by model and by version."""
    of_models = tx.rows("SELECT model, value FROM registry_model_tags WHERE key = :key", {"key": key})
    of_versions = tx.rows("SELECT model, version, value FROM registry_version_tags WHERE key = :key", {"key": key})
    return (
        {row["model"]: row["value"] for row in of_models},
        {(row["model"], row["version"]): row["value"] for row in of_versions},
    )


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


def all_stages(tx: Transaction) -> dict[str, str]:
    """{"model/version stage": stage} of those that have one."""
    found = tx.rows("SELECT model, version, stage FROM registry_versions WHERE stage <> 'None'")
    return {stage_key(row["model"], row["version"]): str(row["stage"]) for row in found}


def moves(tx: Transaction, model: str, alias: str, until: str = END_OF_TIME) -> list[AliasMove]:
    """The moves of an alias up to a time, oldest first."""
    found = tx.rows(MOVES, {"model": model, "alias": alias, "at": until})
    return [AliasMove(**{name: row[name] for name in AliasMove.__struct_fields__}) for row in found]


def point(tx: Transaction, move: AliasMove) -> None:
    """Move an alias (off, when it points to nothing) and remember the move."""
    if move.version is None:
        where = "WHERE model = :model AND alias = :alias"
        tx.run(f"DELETE FROM registry_aliases {where}", {"model": move.model, "alias": move.alias})
    else:
        tx.run(POINT, {"model": move.model, "alias": move.alias, "version": move.version, "at": move.moved_at})
    tx.run(ADD_MOVE, msgspec.structs.asdict(move))


def _models(
    tx: Transaction, rows: Iterable[Row], pointing: Iterable[Row], tags: Mapping[str, dict[str, str]]
) -> list[RegisteredModel]:
    aliases: dict[str, dict[str, int]] = {}
    for row in pointing:
        aliases.setdefault(row["model"], {})[row["alias"]] = row["version"]
    return [
        RegisteredModel(
            name=row["name"],
            latest=row["last_version"],
            versions=row["versions"],
            aliases=aliases.get(row["name"], {}),
            created_at=row["created_at"],
            created_by=row["created_by"],
            updated_at=row["updated_at"],
            description=row["description"],
            tags=tags.get(row["name"], {}),
        )
        for row in rows
    ]


def _versions(tx: Transaction, model: str, rows: list[Row]) -> list[Version]:
    if not rows:
        return []
    pointing: dict[int, tuple[str, ...]] = {}
    for alias, number in aliases(tx, model).items():
        pointing[number] = (*pointing.get(number, ()), alias)
    tags = version_tags(tx, model)
    return [_version(row, pointing, tags) for row in rows]


def _version(
    row: Row, pointing: Mapping[int, tuple[str, ...]], tags: Mapping[tuple[str, int], dict[str, str]]
) -> Version:
    values = {name: row[name] for name in Version.__struct_fields__ if name not in _BESIDE}
    values["signature"] = msgspec.json.decode(values["signature"], type=Signature)
    values["metrics"] = msgspec.json.decode(values["metrics"])
    values["metadata"] = msgspec.json.decode(values["metadata"])
    values["servable"] = bool(values["servable"])
    number = values["version"]
    return Version(**values, aliases=pointing.get(number, ()), tags=tags.get((values["model"], number), {}))

"""The tables of projects: SQL in, values out."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.projects.model import Project
from loopline.usecases.projects.plans import Thing

_COLUMNS = "name, owner, folder, config, contracts, code_digest, applied_at, applied_by, seq"
PROJECTS = f"SELECT {_COLUMNS} FROM projects_projects"
PUT = (
    f"INSERT INTO projects_projects ({_COLUMNS}) "
    "VALUES (:name, :owner, :folder, :config, :contracts, :code_digest, :applied_at, :applied_by, :seq) "
    "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, folder = excluded.folder, config = excluded.config, "
    "contracts = excluded.contracts, code_digest = excluded.code_digest, applied_at = excluded.applied_at, "
    "applied_by = excluded.applied_by, seq = excluded.seq"
)
ADD_HISTORY = (
    "INSERT INTO projects_history (seq, name, config, code_digest, applied_at, applied_by) "
    "VALUES (:seq, :name, :config, :code_digest, :applied_at, :applied_by)"
)
_THING = "kind, name, wish, put_at, put_by, left_at, left_by"
THINGS = f"SELECT {_THING} FROM projects_things WHERE project = :project ORDER BY kind, name"
PUT_THING = (
    f"INSERT INTO projects_things (project, {_THING}) "
    "VALUES (:project, :kind, :name, :wish, :put_at, :put_by, :left_at, :left_by) "
    "ON CONFLICT (project, kind, name) DO UPDATE SET wish = excluded.wish, put_at = excluded.put_at, "
    "put_by = excluded.put_by, left_at = excluded.left_at, left_by = excluded.left_by"
)
FORGET_THING = "DELETE FROM projects_things WHERE project = :project AND kind = :kind AND name = :name"
CLAIMED = (
    "SELECT 1 AS found FROM projects_things WHERE kind = :kind AND name = :name AND project <> :project "
    "AND left_at IS NULL"
)


def projects(tx: Transaction) -> list[Project]:
    """All applied projects by name."""
    return [_project(row) for row in tx.rows(f"{PROJECTS} ORDER BY name")]


def project(tx: Transaction, name: str) -> Project | None:
    """One project or None."""
    row = tx.row(f"{PROJECTS} WHERE name = :name", {"name": name})
    return None if row is None else _project(row)


def project_in(tx: Transaction, folder: str) -> Project | None:
    """The project applied last from a folder, or None."""
    row = tx.row(f"{PROJECTS} WHERE folder = :folder ORDER BY applied_at DESC", {"folder": folder})
    return None if row is None else _project(row)


def put(tx: Transaction, project: Project) -> None:
    """Write a project as applied, and remember the application under the fact's number."""
    values = msgspec.structs.asdict(project)
    for name in ("config", "contracts"):
        values[name] = msgspec.json.encode(values[name]).decode()
    tx.run(PUT, values)
    kept = ("name", "config", "code_digest", "applied_at", "applied_by")
    tx.run(ADD_HISTORY, {name: values[name] for name in ("seq", *kept)})


def code_digests(tx: Transaction) -> list[str]:
    """Every state of the code that was ever applied."""
    return [row["code_digest"] for row in tx.rows("SELECT DISTINCT code_digest FROM projects_history")]


def things(tx: Transaction, project: str) -> dict[tuple[str, str], Thing]:
    """What a project put into the installation, by kind and name."""
    return {(row["kind"], row["name"]): _thing(row) for row in tx.rows(THINGS, {"project": project})}


def put_thing(tx: Transaction, project: str, thing: Thing) -> None:
    """Write what a project put there, new or changed."""
    values: dict[str, Any] = {"project": project, **msgspec.structs.asdict(thing)}
    values["wish"] = None if thing.wish is None else msgspec.json.encode(thing.wish).decode()
    tx.run(PUT_THING, values)


def forget_thing(tx: Transaction, project: str, kind: str, name: str) -> None:
    """What was retired belongs to nobody."""
    tx.run(FORGET_THING, {"project": project, "kind": kind, "name": name})


def claimed(tx: Transaction, kind: str, name: str, project: str) -> bool:
    """Whether another project names a thing too."""
    return tx.row(CLAIMED, {"kind": kind, "name": name, "project": project}) is not None


def _thing(row: Row) -> Thing:
    values = dict(row)
    values["wish"] = None if values["wish"] is None else msgspec.json.decode(values["wish"])
    return Thing(**values)


def _project(row: Row) -> Project:
    values = dict(row)
    for name in ("config", "contracts"):
        values[name] = msgspec.json.decode(values[name])
    return Project(**values)

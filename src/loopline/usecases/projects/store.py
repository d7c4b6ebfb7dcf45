"""The tables of projects: SQL in, values out."""

from __future__ import annotations

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.projects.model import Project

_COLUMNS = "name, owner, folder, config, contracts, code_digest, applied_at, applied_by"
PROJECTS = f"SELECT {_COLUMNS} FROM projects_projects"
PUT = (
    "INSERT INTO projects_projects (name, owner, folder, config, contracts, code_digest, applied_at, applied_by) "
    "VALUES (:name, :owner, :folder, :config, :contracts, :code_digest, :applied_at, :applied_by) "
    "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, folder = excluded.folder, config = excluded.config, "
    "contracts = excluded.contracts, code_digest = excluded.code_digest, applied_at = excluded.applied_at, "
    "applied_by = excluded.applied_by"
)
ADD_HISTORY = (
    "INSERT INTO projects_history (seq, name, config, code_digest, applied_at, applied_by) "
    "VALUES (:seq, :name, :config, :code_digest, :applied_at, :applied_by)"
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


def put(tx: Transaction, project: Project, seq: int) -> None:
    """Write a project as applied, and remember the application under the fact's number."""
    values = msgspec.structs.asdict(project)
    for name in ("config", "contracts"):
        values[name] = msgspec.json.encode(values[name]).decode()
    tx.run(PUT, values)
    kept = ("name", "config", "code_digest", "applied_at", "applied_by")
    tx.run(ADD_HISTORY, {"seq": seq, **{name: values[name] for name in kept}})


def _project(row: Row) -> Project:
    values = dict(row)
    for name in ("config", "contracts"):
        values[name] = msgspec.json.decode(values[name])
    return Project(**values)

"""Rows of experiments: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.store import marked, parts

_ALL = "SELECT id, name, state, created_at, created_by, updated_at, location FROM tracking_experiments"


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment with all that is kept about it. `state` is active or deleted (in the trash); `location` says where
    its runs' files lie when that is not here."""

    id: int
    name: str
    state: str
    created_at: str
    created_by: str
    updated_at: str
    location: str = ""
    tags: dict[str, str] = {}


def add(tx: Transaction, name: str, at: str, actor: str, location: str) -> int:
    """A new experiment; answers its number. Taken when there is one of that name."""
    tx.run(
        """INSERT INTO tracking_experiments (name, created_at, created_by, updated_at, location)
        VALUES (:name, :at, :actor, :at, :location)""",
        {"name": name, "at": at, "actor": actor, "location": location},
    )
    found = tx.row("SELECT id FROM tracking_experiments WHERE name = :name", {"name": name})
    return int(found["id"]) if found else 0


def bare(tx: Transaction, number: int) -> Row | None:
    """The row of an experiment alone."""
    return tx.row(f"{_ALL} WHERE id = :id", {"id": number})


def named(tx: Transaction, name: str) -> Row | None:
    """The row of the experiment with that name."""
    return tx.row(f"{_ALL} WHERE name = :name", {"name": name})


def rows(tx: Transaction) -> list[Row]:
    """The rows of all experiments."""
    return tx.rows(_ALL)


def change(tx: Transaction, number: int, name: str, state: str, at: str) -> None:
    """Name and state of an experiment. Taken when another one has that name."""
    tx.run(
        "UPDATE tracking_experiments SET name = :name, state = :state, updated_at = :at WHERE id = :id",
        {"id": number, "name": name, "state": state, "at": at},
    )


def trash_runs(tx: Transaction, number: int, at: str) -> int:
    """Put the runs of an experiment that are not there yet into the trash; answers how many."""
    return tx.run(
        "UPDATE tracking_runs SET state = 'deleted', deleted_at = :at WHERE experiment_id = :id AND state <> 'deleted'",
        {"id": number, "at": at},
    )


def restore_runs(tx: Transaction, number: int, at: str) -> int:
    """Take those runs of an experiment out of the trash that went there at that time; answers how many."""
    return tx.run(
        """UPDATE tracking_runs SET state = 'active', deleted_at = NULL
        WHERE experiment_id = :id AND state = 'deleted' AND deleted_at = :at""",
        {"id": number, "at": at},
    )


def put_tags(tx: Transaction, number: int, tags: Mapping[str, str]) -> None:
    """Set tags of an experiment."""
    if tags:
        tx.run_many(
            """INSERT INTO tracking_experiment_tags (experiment_id, key, value) VALUES (:id, :key, :value)
            ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value""",
            [{"id": number, "key": key, "value": value} for key, value in tags.items()],
        )


def drop_tag(tx: Transaction, number: int, key: str) -> bool:
    """Take a tag off an experiment; False when it had none of that name."""
    statement = "DELETE FROM tracking_experiment_tags WHERE experiment_id = :id AND key = :key"
    return tx.run(statement, {"id": number, "key": key}) > 0


def tags(tx: Transaction, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
    """The tags of some experiments by their numbers."""
    found: dict[int, dict[str, str]] = {}
    for part in parts([*numbers]):
        marks, params = marked(part)
        statement = f"SELECT experiment_id, key, value FROM tracking_experiment_tags WHERE experiment_id IN ({marks})"
        for row in tx.rows(statement, params):
            found.setdefault(row["experiment_id"], {})[row["key"]] = row["value"]
    return found


def described(row: Row, tags: Mapping[str, str]) -> Described:
    """A row as a value."""
    values: dict[str, Any] = {**row, "tags": dict(tags)}
    return Described(**values)

"""Rows of logged models: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.model import plain
from loopline.usecases.tracking.store import marked, parts

Readiness = Literal["pending", "ready", "failed"]
_COLUMNS = (
    "id, experiment_id, name, type, status, status_message, state, source_run_id, location, created_at, updated_at"
)
_ADD = f"""INSERT INTO tracking_models ({_COLUMNS}) VALUES
 (:id, :experiment_id, :name, :type, :status, '', 'active', :source_run_id, :location, :at, :at)"""
_ADD_METRIC = """INSERT INTO tracking_model_metrics
 (model_id, key, at_ms, step, value, is_nan, run_id, dataset_name, dataset_digest) VALUES
 (:model_id, :key, :at_ms, :step, :value, :is_nan, :run_id, :dataset_name, :dataset_digest) ON CONFLICT DO NOTHING"""
_METRICS = """SELECT model_id, key, at_ms, step, value, is_nan, run_id, dataset_name, dataset_digest
 FROM tracking_model_metrics"""
_NEWEST = "ORDER BY model_id, key, at_ms, step, value, run_id"


class ModelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A point measured of a model, in which run and on which dataset ("" when on none that was named)."""

    key: str
    value: float | str
    step: int
    at_ms: int
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run left, with its files under its own id. `location` is where they lie when that is not here."""

    id: str
    experiment_id: int
    name: str
    type: str
    status: Readiness
    status_message: str
    state: Literal["active", "deleted"]
    source_run_id: str
    location: str
    created_at: str
    updated_at: str
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: tuple[ModelMetric, ...] = ()


def add(tx: Transaction, row: Mapping[str, Any]) -> None:
    """A new model."""
    tx.run(_ADD, row)


def bare(tx: Transaction, model_id: str) -> Row | None:
    """The row of a model alone, deleted or not."""
    return tx.row(f"SELECT {_COLUMNS} FROM tracking_models WHERE id = :id", {"id": model_id})


def of_experiments(tx: Transaction, experiments: Sequence[int]) -> list[Row]:
    """The rows of all models of some experiments that are not deleted."""
    found: list[Row] = []
    for part in parts(experiments):
        marks, params = marked(part)
        where = f"experiment_id IN ({marks}) AND state <> 'deleted'"
        found += tx.rows(f"SELECT {_COLUMNS} FROM tracking_models WHERE {where}", params)
    return found


def whole(tx: Transaction, rows: Sequence[Row]) -> list[LoggedModel]:
    """Rows of models with all that belongs to them."""
    ids = [row["id"] for row in rows]
    params, tags = texts(tx, "params", ids), texts(tx, "tags", ids)
    metrics = metrics_of(tx, ids)
    return [
        LoggedModel(
            **{name: row[name] for name in _COLUMNS.split(", ")},
            params=params.get(row["id"], {}),
            tags=tags.get(row["id"], {}),
            metrics=tuple(shown(one) for one in metrics.get(row["id"], ())),
        )
        for row in rows
    ]


def texts(tx: Transaction, table: str, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Params or tags by model; `table` is one of these two words."""
    found: dict[str, dict[str, str]] = {}
    for part in parts(ids):
        marks, params = marked(part)
        statement = f"SELECT model_id, key, value FROM tracking_model_{table} WHERE model_id IN ({marks})"
        for row in tx.rows(statement, params):
            found.setdefault(row["model_id"], {})[row["key"]] = row["value"]
    return found


def values(tx: Transaction, table: str, key: str) -> dict[str, str]:
    """The value of one param or tag by model; `table` is one of these two words."""
    rows = tx.rows(f"SELECT model_id, value FROM tracking_model_{table} WHERE key = :key", {"key": key})
    return {row["model_id"]: row["value"] for row in rows}


def metrics_of(tx: Transaction, ids: Sequence[str]) -> dict[str, list[Row]]:
    """All points of models, the oldest first."""
    found: dict[str, list[Row]] = {}
    for part in parts(ids):
        marks, params = marked(part)
        for row in tx.rows(f"{_METRICS} WHERE model_id IN ({marks}) {_NEWEST}", params):
            found.setdefault(row["model_id"], []).append(row)
    return found


def metrics_named(tx: Transaction, key: str) -> list[Row]:
    """All points of one metric, of each model the oldest first; of every metric when `key` is empty."""
    where, params = ("WHERE key = :key", {"key": key}) if key else ("", {})
    return tx.rows(f"{_METRICS} {where} {_NEWEST}", params)


def add_metrics(tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
    """Points of models, each kept once."""
    tx.run_many(_ADD_METRIC, rows)


def put_texts(tx: Transaction, table: str, model_id: str, given: Mapping[str, str]) -> None:
    """Set params or tags; `table` is one of these two words."""
    if given:
        tx.run_many(
            f"INSERT INTO tracking_model_{table} (model_id, key, value) VALUES (:id, :key, :value) "
            "ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
            [{"id": model_id, "key": key, "value": value} for key, value in given.items()],
        )


def drop_tag(tx: Transaction, model_id: str, key: str) -> bool:
    """Whether there was such a tag."""
    where = "model_id = :id AND key = :key"
    return tx.run(f"DELETE FROM tracking_model_tags WHERE {where}", {"id": model_id, "key": key}) > 0


def change(tx: Transaction, model_id: str, at: str, **columns: Any) -> None:
    """Set columns of a model, and when it changed."""
    changes = ", ".join(f"{name} = :{name}" for name in (*columns, "updated_at"))
    tx.run(f"UPDATE tracking_models SET {changes} WHERE id = :id", {"id": model_id, "updated_at": at, **columns})


def shown(row: Row) -> ModelMetric:
    """A point as it is told."""
    names = ("key", "step", "at_ms", "run_id", "dataset_name", "dataset_digest")
    return ModelMetric(value=plain(row["value"], row["is_nan"]), **{name: row[name] for name in names})

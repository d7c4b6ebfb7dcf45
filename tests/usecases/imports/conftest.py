"""Small sources as MLflow writes them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.testing.factories import installation

A, B = "a" * 32, "b" * 32
TABLES = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, artifact_location TEXT, lifecycle_stage TEXT);
CREATE TABLE experiment_tags (key TEXT, value TEXT, experiment_id INTEGER);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, user_id TEXT, status TEXT, start_time BIGINT, end_time BIGINT,
 lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE metrics (key TEXT, value DOUBLE PRECISION, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
CREATE TABLE latest_metrics (key TEXT, value DOUBLE PRECISION, timestamp BIGINT, step BIGINT, is_nan BOOLEAN,
 run_uuid TEXT);
CREATE TABLE registered_models (name TEXT PRIMARY KEY, creation_time BIGINT, last_updated_time BIGINT, description TEXT);
CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, last_updated_time BIGINT,
 description TEXT, user_id TEXT, current_stage TEXT, source TEXT, run_id TEXT, status TEXT, status_message TEXT,
 run_link TEXT);
"""
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "experiments": [(0, "Default", "x", "active"), (7, "old", "x", "active")],
    "experiment_tags": [("team", "air", 7)],
    "runs": [(A, "first", "ada", "FINISHED", 1_000, 2_000, "active", f"mlflow-artifacts:/7/{A}/artifacts", 7)],
    "params": [("rate", "0.1", A)],
    "tags": [("mlflow.runName", "first", A)],
    "metrics": [("auc", 0.5, 1, A, 0, False), ("auc", 0.0, 2, A, 1, True)],
    "latest_metrics": [("auc", 0.0, 2, 1, True, A)],
    "registered_models": [("late", 5, 6, "how late")],
    "model_versions": [
        ("late", 1, 5, 6, "", "ada", "Deleted_Internal", "x", None, "READY", None, None),
        ("late", 2, 5, 6, "two", "ada", "Staging", f"mlflow-artifacts:/7/{A}/artifacts/model", A, "READY", None, None),
    ],
}


@pytest.fixture
def loopline(tmp_path: Path) -> Iterator[Loopline]:
    with installation(tmp_path) as opened:
        yield opened


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def put_run(root: Path, run_id: str, experiment: str = "1", name: str = "first", started: int = 1_000) -> Path:
    """A finished run of an mlruns folder; answers its folder."""
    meta = {
        "artifact_uri": f"file:///elsewhere/{experiment}/{run_id}/artifacts",
        "end_time": started + 5,
        "experiment_id": experiment,
        "lifecycle_stage": "active",
        "run_id": run_id,
        "run_name": name,
        "start_time": started,
        "status": 3,
        "user_id": "ada",
    }
    place = root / experiment / run_id
    put(place / "params" / "rate", "0.1")
    put(place / "tags" / "mlflow.runName", name)
    put(place / "metrics" / "auc", "1 0.5 0\n2 nan 1\n3 0.7 2\n")
    put(place / "artifacts" / "notes" / "hello.txt", "hello")
    put(place / "meta.yaml", json.dumps(meta))
    return place


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    """An mlruns folder with one experiment and one run."""
    root = tmp_path / "mlruns"
    meta = {"experiment_id": "1", "name": "flights", "lifecycle_stage": "active", "creation_time": 5}
    put(root / "1" / "meta.yaml", json.dumps(meta))
    put(root / "1" / "tags" / "team", "air")
    put_run(root, A)
    return root


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An SQLite database with the columns that the oldest schema has."""
    path = tmp_path / "db" / "mlflow.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db, db:
        fill(lambda statement, row: db.execute(statement, row), "?")
    return path


def fill(execute: Callable[[str, tuple[Any, ...]], Any], mark: str) -> None:
    """Make and fill MLflow's tables."""
    for statement in TABLES.split(";"):
        if statement.strip():
            execute(statement, ())
    for table, rows in ROWS.items():
        for row in rows:
            execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", row)


@pytest.fixture
def add_run() -> Callable[..., Path]:
    return put_run


@pytest.fixture
def fill_tables() -> Callable[..., None]:
    return fill


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[[Loopline], str]:
    """Keeps a model in a format that nothing loads; answers its digest."""

    def keep(opened: Loopline) -> str:
        from loopline.core.tables import Column, Signature

        (tmp_path / "saved").mkdir()
        (tmp_path / "saved" / "weights.bin").write_bytes(b"123")
        signature = Signature((Column("x", "float"),), Column("y", "float"))
        digest: str = opened.registry.keep(tmp_path / "saved", "other", signature)
        return digest

    return keep

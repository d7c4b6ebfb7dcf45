"""The same runs in both: ours as `search_data.py` fills it, MLflow's SQLite database with the same rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from search_data import fill

STATUS = "upper(r.status)"
TABLES = (
    """INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,
     source_version, lifecycle_stage, artifact_uri, experiment_id)
     SELECT r.id, r.name, 'LOCAL', '', '', r.created_by, upper(r.status),
     CAST((julianday(r.started_at) - 2440587.5) * 86400000 AS INTEGER), CAST((julianday(r.ended_at) - 2440587.5) * 86400000 AS INTEGER),
     '', 'active', 'mlflow-artifacts:/' || :experiment || '/' || r.id || '/artifacts', :experiment FROM ours.tracking_runs r""",
    """INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
     SELECT k.name, l.value, l.at_ms, l.step, l.is_nan, r.id FROM ours.tracking_latest l
     JOIN ours.tracking_keys k ON k.id = l.key JOIN ours.tracking_runs r ON r.number = l.run""",
    "INSERT INTO params (key, value, run_uuid) SELECT p.key, p.value, r.id FROM ours.tracking_params p JOIN ours.tracking_runs r ON r.number = p.run",
    "INSERT INTO tags (key, value, run_uuid) SELECT p.key, p.value, r.id FROM ours.tracking_tags p JOIN ours.tracking_runs r ON r.number = p.run",
)


def ours(home: Path, runs: int, metrics: int) -> None:
    """An installation with these runs in one experiment."""
    fill(home, runs, metrics)


def mlflow(database: Path, home: Path) -> None:
    """The runs of the installation in MLflow's database (which its server has made), in an experiment of its own."""
    db = sqlite3.connect(database)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("ATTACH ? AS ours", (str(home / "loopline.db"),))
    experiment = db.execute(
        """INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time)
        VALUES ('study 1', '', 'active', 1, 1) RETURNING experiment_id"""
    ).fetchone()[0]
    for statement in TABLES:
        db.execute(statement, {"experiment": experiment} if ":experiment" in statement else {})
    db.commit()
    db.close()


def history(database: Path, run_id: str, points: int) -> None:
    """So many points of metric `long` of one of MLflow's runs."""
    db = sqlite3.connect(database)
    rows = ((1_600_000_000_000 + step, step, step / 7, run_id) for step in range(points))
    db.executemany(
        "INSERT INTO metrics (key, timestamp, step, value, run_uuid, is_nan) VALUES ('long', ?, ?, ?, ?, 0)", rows
    )
    db.commit()
    db.close()

"""Whole runs with where and when each metric was measured last, and their inputs and outputs: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.store import marked, parts

_RUN = """SELECT r.number, r.id, r.experiment_id, r.name, r.status, r.state, r.started_at, r.ended_at, r.created_by,
 r.user_id, r.process, r.artifact_root FROM tracking_runs r WHERE r.id IN ({})"""
_BESIDE = {
    "params": "SELECT run, key, value FROM tracking_params WHERE run IN ({})",
    "tags": "SELECT run, key, value FROM tracking_tags WHERE run IN ({})",
    "metrics": """SELECT l.run, k.name AS key, l.value, l.is_nan, l.at_ms, l.step FROM tracking_latest l
        JOIN tracking_keys k ON k.id = l.key WHERE l.run IN ({})""",
    "links": """SELECT r.number AS run, l.direction, l.name, l.digest, l.kind, l.tags, d.source_type, d.source, d.schema,
        d.profile FROM tracking_runs r JOIN tracking_links l ON l.run_id = r.id LEFT JOIN tracking_datasets d
        ON d.experiment_id = r.experiment_id AND d.name = l.name AND d.digest = l.digest
        WHERE r.number IN ({}) ORDER BY r.number, l.name, l.digest""",
}
_ADD_DATASET = """INSERT INTO tracking_datasets (experiment_id, name, digest, source_type, source, schema, profile)
 VALUES (:experiment_id, :name, :digest, :source_type, :source, :schema, :profile) ON CONFLICT DO NOTHING"""
_ADD_LINK = """INSERT INTO tracking_links (run_id, direction, name, digest, kind, tags)
 VALUES (:run_id, :direction, :name, :digest, :kind, :tags) ON CONFLICT (run_id, direction, name, digest)"""
_USED = """SELECT DISTINCT d.experiment_id, d.name, d.digest, l.tags FROM tracking_datasets d
 JOIN tracking_links l ON l.digest = d.digest AND l.name = d.name AND l.kind = 'dataset'
 JOIN tracking_runs r ON r.id = l.run_id AND r.experiment_id = d.experiment_id
 WHERE d.experiment_id IN ({}) ORDER BY d.experiment_id, d.name, d.digest"""


class Recorded(msgspec.Struct):
    """A run as rows: its own, and those of its params, tags, latest metrics (each with time and step) and links (a
    dataset's with what it is)."""

    run: Row
    params: list[Row] = []
    tags: list[Row] = []
    metrics: list[Row] = []
    links: list[Row] = []


def recorded(tx: Transaction, ids: Sequence[str], beside: Iterable[str] = tuple(_BESIDE)) -> list[Recorded]:
    """The runs with these ids, in this order; unknown ones are left out."""
    found: dict[str, Recorded] = {}
    for part in parts(ids):
        marks, params = marked(part)
        found |= {row["id"]: Recorded(row) for row in tx.rows(_RUN.format(marks), params)}
    numbered = {one.run["number"]: one for one in found.values()}
    for name in beside:
        for part in parts([*numbered]):
            marks, numbers = marked(part)
            for row in tx.rows(_BESIDE[name].format(marks), numbers):
                getattr(numbered[row["run"]], name).append(row)
    return [found[run_id] for run_id in ids if run_id in found]


def add_datasets(tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
    """Datasets of experiments, each kept once."""
    tx.run_many(_ADD_DATASET, rows)


def add_links(tx: Transaction, rows: Iterable[Mapping[str, Any]], replacing: bool) -> None:
    """Inputs and outputs; one that comes again replaces the tags of the first, or changes nothing."""
    tx.run_many(f"{_ADD_LINK} DO {'UPDATE SET tags = excluded.tags' if replacing else 'NOTHING'}", rows)


def used_datasets(tx: Transaction, experiments: Sequence[int]) -> list[Row]:
    """Datasets of these experiments that went into runs, once for each set of tags that they went in under."""
    marks, params = marked(experiments)
    return tx.rows(_USED.format(marks), params)


def set_state(tx: Transaction, number: int, state: str, deleted_at: str | None) -> None:
    """Whether a run is active, archived, or deleted (since when)."""
    tx.run(
        "UPDATE tracking_runs SET state = :state, deleted_at = :at WHERE number = :number",
        {"number": number, "state": state, "at": deleted_at},
    )


def set_status(tx: Transaction, number: int, status: str) -> None:
    """The status of a run that goes on."""
    tx.run("UPDATE tracking_runs SET status = :status WHERE number = :number", {"number": number, "status": status})


def set_end(tx: Transaction, number: int, ended_at: str) -> None:
    """When a run ended."""
    tx.run("UPDATE tracking_runs SET ended_at = :at WHERE number = :number", {"number": number, "at": ended_at})


def drop_tag(tx: Transaction, number: int, key: str) -> bool:
    """Take a tag off a run; False when it had none of that name."""
    return tx.run("DELETE FROM tracking_tags WHERE run = :run AND key = :key", {"run": number, "key": key}) > 0


def tag(tx: Transaction, number: int, key: str) -> str | None:
    """One tag of a run."""
    found = tx.row("SELECT value FROM tracking_tags WHERE run = :run AND key = :key", {"run": number, "key": key})
    return None if found is None else str(found["value"])

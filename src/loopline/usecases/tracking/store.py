"""Tracking's rows: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.model import Artifact, Experiment, Link, Measured, Run, plain
from loopline.usecases.tracking.processes import is_dead

_RUN = "SELECT r.*, e.name AS experiment FROM tracking_runs r JOIN tracking_experiments e ON e.id = r.experiment_id"
_BESIDE = {
    "params": "SELECT run_id, key, value FROM tracking_params WHERE run_id IN ({})",
    "tags": "SELECT run_id, key, value FROM tracking_tags WHERE run_id IN ({})",
    "metrics": "SELECT run_id, key, value, is_nan FROM tracking_latest WHERE run_id IN ({})",
    "links": "SELECT run_id, direction, name, digest, kind FROM tracking_links WHERE run_id IN ({})",
}
_AT_ONCE = 500
_ADD_RUN = """INSERT INTO tracking_runs
 (id, experiment_id, name, kind, status, started_at, ended_at, created_by, process, surroundings, error)
 VALUES (:id, :experiment_id, :name, :kind, :status, :started_at, :ended_at, :created_by, :process, :surroundings, '')"""
_ADD_POINT = """INSERT INTO tracking_metrics (run_id, key, step, at_ms, value, is_nan)
 VALUES (:run_id, :key, :step, :at_ms, :value, :is_nan) ON CONFLICT DO NOTHING"""
_ADD_LATEST = """INSERT INTO tracking_latest (run_id, key, step, at_ms, value, is_nan)
 VALUES (:run_id, :key, :step, :at_ms, :value, :is_nan) ON CONFLICT (run_id, key) DO UPDATE SET
 step = excluded.step, at_ms = excluded.at_ms, value = excluded.value, is_nan = excluded.is_nan
 WHERE (excluded.step, excluded.at_ms, excluded.value)
 >= (tracking_latest.step, tracking_latest.at_ms, tracking_latest.value)"""


def experiment_id(tx: Transaction, name: str, at: str, actor: str) -> int:
    """The number of an experiment, which is made when it is new."""
    found = tx.row("SELECT id FROM tracking_experiments WHERE name = :name", {"name": name})
    if found is None:
        tx.run(
            "INSERT INTO tracking_experiments (name, created_at, created_by) VALUES (:name, :at, :actor)",
            {"name": name, "at": at, "actor": actor},
        )
        found = tx.row("SELECT id FROM tracking_experiments WHERE name = :name", {"name": name})
    return int(found["id"]) if found else 0


def experiments(tx: Transaction) -> list[Experiment]:
    """All experiments, newest first."""
    rows = tx.rows(
        """SELECT e.id, e.name, e.created_at, COUNT(r.id) AS runs FROM tracking_experiments e
        LEFT JOIN tracking_runs r ON r.experiment_id = e.id GROUP BY e.id, e.name, e.created_at ORDER BY e.id DESC"""
    )
    return [Experiment(**row) for row in rows]


def add_run(tx: Transaction, row: Mapping[str, Any]) -> None:
    """A new run."""
    tx.run(_ADD_RUN, row)


def end_run(tx: Transaction, run_id: str, status: str, at: str, error: str) -> None:
    """The run's end."""
    tx.run(
        "UPDATE tracking_runs SET status = :status, ended_at = :at, error = :error WHERE id = :id",
        {"id": run_id, "status": status, "at": at, "error": error},
    )


def bare(tx: Transaction, run_id: str) -> Row | None:
    """The row of a run alone."""
    return tx.row(f"{_RUN} WHERE r.id = :id", {"id": run_id})


def ids_like(tx: Transaction, prefix: str) -> list[str]:
    """Ids that begin with `prefix`, at most two."""
    low, high = prefix, prefix + "g"
    statement = "SELECT id FROM tracking_runs WHERE id >= :low AND id < :high ORDER BY id LIMIT 2"
    return [row["id"] for row in tx.rows(statement, {"low": low, "high": high})]


def running(tx: Transaction) -> list[Row]:
    """Runs that have not ended."""
    return tx.rows(f"{_RUN} WHERE r.status = 'running'")


def newest(tx: Transaction, experiment: str, limit: int, offset: int) -> list[Run]:
    """Runs of an experiment (of all when empty), newest first."""
    where = "WHERE e.name = :experiment" if experiment else ""
    order = "ORDER BY r.started_at DESC, r.id LIMIT :limit OFFSET :offset"
    params = {"experiment": experiment, "limit": limit, "offset": offset}
    if not experiment:
        del params["experiment"]
    return whole(tx, tx.rows(f"{_RUN} {where} {order}", params))


def of_ids(tx: Transaction, ids: list[str]) -> list[Run]:
    """The runs with these ids, in this order; unknown ones are left out."""
    found: dict[str, Row] = {}
    for part in parts(ids):
        marks, params = marked(part)
        found |= {row["id"]: row for row in tx.rows(f"{_RUN} WHERE r.id IN ({marks})", params)}
    return whole(tx, [found[run_id] for run_id in ids if run_id in found])


def whole(tx: Transaction, rows: list[Row]) -> list[Run]:
    """Rows of runs with everything that belongs to them."""
    beside: dict[str, dict[str, list[Row]]] = {}
    for name, statement in _BESIDE.items():
        of_runs = beside[name] = {}
        for part in parts([row["id"] for row in rows]):
            marks, params = marked(part)
            for row in tx.rows(statement.format(marks), params):
                of_runs.setdefault(row["run_id"], []).append(row)
    return [assembled(row, beside) for row in rows]


def assembled(row: Row, beside: Mapping[str, Mapping[str, list[Row]]]) -> Run:
    """A run; one whose process died shows as killed."""
    texts = {name: {one["key"]: one["value"] for one in beside[name].get(row["id"], ())} for name in ("params", "tags")}
    lost = row["status"] == "running" and is_dead(row["process"])
    return Run(
        id=row["id"],
        experiment=row["experiment"],
        name=row["name"],
        kind=row["kind"],
        status="killed" if lost else row["status"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        created_by=row["created_by"],
        error="Its process ended before it did." if lost else row["error"],
        params=texts["params"],
        tags=texts["tags"],
        metrics={one["key"]: plain(one["value"], one["is_nan"]) for one in beside["metrics"].get(row["id"], ())},
        surroundings=msgspec.json.decode(row["surroundings"]),
        links=tuple(link(one) for one in beside["links"].get(row["id"], ())),
    )


def link(row: Row) -> Link:
    """An input or output."""
    return Link(direction=row["direction"], name=row["name"], digest=row["digest"], kind=row["kind"])


def new_batch(tx: Transaction, batch: str, run_id: str, at: str) -> bool:
    """Remember a batch of measurements; False when it was there already."""
    statement = "INSERT INTO tracking_batches (id, run_id, at) VALUES (:id, :run_id, :at) ON CONFLICT DO NOTHING"
    return tx.run(statement, {"id": batch, "run_id": run_id, "at": at}) > 0


def texts(tx: Transaction, table: str, run_id: str) -> dict[str, str]:
    """Params or tags of a run; `table` is one of these two words."""
    rows = tx.rows(f"SELECT key, value FROM tracking_{table} WHERE run_id = :id", {"id": run_id})
    return {row["key"]: row["value"] for row in rows}


def put_texts(tx: Transaction, table: str, run_id: str, values: Mapping[str, str]) -> None:
    """Set params or tags; `table` is one of these two words."""
    tx.run_many(
        f"INSERT INTO tracking_{table} (run_id, key, value) VALUES (:run_id, :key, :value) "
        "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value",
        [{"run_id": run_id, "key": key, "value": value} for key, value in values.items()],
    )


def add_points(tx: Transaction, rows: Iterable[Mapping[str, Any]], last: Iterable[Mapping[str, Any]]) -> None:
    """Points, each kept once, and the latest of each key among them."""
    tx.run_many(_ADD_POINT, rows)
    tx.run_many(_ADD_LATEST, last)


def history(tx: Transaction, run_id: str, key: str, limit: int, offset: int) -> list[Measured]:
    """Points of a metric by (step, time, value)."""
    rows = tx.rows(
        """SELECT step, at_ms, value, is_nan FROM tracking_metrics WHERE run_id = :run_id AND key = :key
        ORDER BY step, at_ms, value, is_nan LIMIT :limit OFFSET :offset""",
        {"run_id": run_id, "key": key, "limit": limit, "offset": offset},
    )
    return [Measured(row["step"], row["at_ms"], plain(row["value"], row["is_nan"])) for row in rows]


def put_artifact(tx: Transaction, run_id: str, artifact: Artifact) -> None:
    """An artifact; one of the same name is replaced."""
    tx.run(
        """INSERT INTO tracking_artifacts (run_id, name, digest, size, media_type, created_at)
        VALUES (:run_id, :name, :digest, :size, :media_type, :created_at) ON CONFLICT (run_id, name) DO UPDATE SET
        digest = excluded.digest, size = excluded.size, media_type = excluded.media_type,
        created_at = excluded.created_at""",
        {"run_id": run_id, **msgspec.structs.asdict(artifact)},
    )


def artifacts(tx: Transaction, run_id: str) -> list[Artifact]:
    """All artifacts of a run by name."""
    statement = (
        "SELECT name, digest, size, media_type, created_at FROM tracking_artifacts WHERE run_id = :id ORDER BY name"
    )
    return [Artifact(**row) for row in tx.rows(statement, {"id": run_id})]


def add_links(tx: Transaction, run_id: str, links: Iterable[Link]) -> None:
    """Inputs and outputs, each kept once."""
    tx.run_many(
        """INSERT INTO tracking_links (run_id, direction, name, digest, kind)
        VALUES (:run_id, :direction, :name, :digest, :kind) ON CONFLICT DO NOTHING""",
        [{"run_id": run_id, **msgspec.structs.asdict(one)} for one in links],
    )


def runs_with(tx: Transaction, digest: str, direction: str) -> list[str]:
    """Ids of the runs that a thing went into, or came out of."""
    statement = "SELECT run_id FROM tracking_links WHERE digest = :digest AND direction = :direction ORDER BY run_id"
    return [row["run_id"] for row in tx.rows(statement, {"digest": digest, "direction": direction})]


def parts(ids: list[str]) -> Iterable[list[str]]:
    """The ids in portions that one statement can carry."""
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))


def marked(ids: list[str]) -> tuple[str, dict[str, str]]:
    """Marks for an IN list, and their parameters."""
    return ", ".join(f":i{n}" for n in range(len(ids))), {f"i{n}": one for n, one in enumerate(ids)}

"""Tracking's rows: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from loopline.core.errors import Conflict
from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.model import Artifact, Experiment, Link, Run, plain
from loopline.usecases.tracking.processes import is_dead

T = TypeVar("T")
_RUN = "SELECT r.*, e.name AS experiment FROM tracking_runs r JOIN tracking_experiments e ON e.id = r.experiment_id"
_BESIDE = {
    "params": "SELECT run, key, value FROM tracking_params WHERE run IN ({})",
    "tags": "SELECT run, key, value FROM tracking_tags WHERE run IN ({})",
    "metrics": """SELECT l.run, k.name AS key, l.value, l.is_nan FROM tracking_latest l
        JOIN tracking_keys k ON k.id = l.key WHERE l.run IN ({})""",
    "links": """SELECT r.number AS run, l.direction, l.name, l.digest, l.kind, l.tags FROM tracking_runs r
        JOIN tracking_links l ON l.run_id = r.id WHERE r.number IN ({})""",
}
_AT_ONCE = 500
_ADD_RUN = """INSERT INTO tracking_runs
 (id, experiment_id, name, kind, status, started_at, ended_at, created_by, user_id, process, surroundings, artifact_root)
 VALUES (:id, :experiment_id, :name, :kind, :status, :started_at, :ended_at, :created_by, :user_id, :process,
 :surroundings, :artifact_root)"""
_MARK = "SELECT number, experiment_id, state, status, name FROM tracking_runs WHERE id = :id"
_NUMBER = "SELECT number FROM tracking_runs WHERE id = :id"


def experiment_id(tx: Transaction, name: str, at: str, actor: str) -> int:
    """The number of an experiment, which is made when it is new. Conflict for one in the trash, whose runs are removed
    with it."""
    found = tx.row("SELECT id, state FROM tracking_experiments WHERE name = :name", {"name": name})
    if found is None:
        tx.run(
            "INSERT INTO tracking_experiments (name, created_at, created_by, updated_at) VALUES (:name, :at, :actor, :at)",
            {"name": name, "at": at, "actor": actor},
        )
        found = tx.row("SELECT id, state FROM tracking_experiments WHERE name = :name", {"name": name})
    if found is not None and found["state"] == "deleted":
        raise Conflict(f"The experiment {name[:80]!r} is in the trash.", "Restore it, or name another one.")
    return int(found["id"]) if found else 0


def experiments(tx: Transaction) -> list[Experiment]:
    """All experiments that are not deleted, newest first, with how many runs of each are not deleted."""
    rows = tx.rows(
        """SELECT e.id, e.name, e.created_at, (SELECT COUNT(*) FROM tracking_runs r WHERE r.experiment_id = e.id
        AND r.state <> 'deleted') AS runs FROM tracking_experiments e WHERE e.state <> 'deleted' ORDER BY e.id DESC"""
    )
    return [Experiment(**row) for row in rows]


def add_run(tx: Transaction, row: Mapping[str, Any]) -> int:
    """A new run; answers its number."""
    tx.run(_ADD_RUN, row)
    return number_of(tx, row["id"])


def mark(tx: Transaction, run_id: str) -> Row | None:
    """What a change of a run must know: number, experiment_id, state, status and name."""
    return tx.row(_MARK, {"id": run_id})


def number_of(tx: Transaction, run_id: str) -> int:
    """The number under which a run's rows are kept; 0 for an unknown run."""
    found = tx.row(_NUMBER, {"id": run_id})
    return int(found["number"]) if found else 0


def end_run(tx: Transaction, run_id: str, status: str, at: str, error: str) -> None:
    """The run's end."""
    tx.run(
        "UPDATE tracking_runs SET status = :status, ended_at = :at, error = :error WHERE id = :id",
        {"id": run_id, "status": status, "at": at, "error": error},
    )


def rename(tx: Transaction, run: int, name: str) -> None:
    """Another name for the run with this number."""
    tx.run("UPDATE tracking_runs SET name = :name WHERE number = :run", {"name": name, "run": run})


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


def ended_since(tx: Transaction, at: str) -> list[str]:
    """Ids of the runs that ended after a time or have not ended."""
    statement = "SELECT id FROM tracking_runs WHERE status = 'running' OR ended_at > :at ORDER BY number"
    return [row["id"] for row in tx.rows(statement, {"at": at})]


def of_numbers(tx: Transaction, numbers: Sequence[int]) -> list[Run]:
    """The runs with these numbers, in this order; unknown ones are left out."""
    found: dict[int, Row] = {}
    for part in parts(numbers):
        marks, params = marked(part)
        found |= {row["number"]: row for row in tx.rows(f"{_RUN} WHERE r.number IN ({marks})", params)}
    return whole(tx, [found[number] for number in numbers if number in found])


def of_ids(tx: Transaction, ids: list[str]) -> list[Run]:
    """The runs with these ids, in this order; unknown ones are left out."""
    found: dict[str, Row] = {}
    for part in parts(ids):
        marks, params = marked(part)
        found |= {row["id"]: row for row in tx.rows(f"{_RUN} WHERE r.id IN ({marks})", params)}
    return whole(tx, [found[run_id] for run_id in ids if run_id in found])


def whole(tx: Transaction, rows: list[Row]) -> list[Run]:
    """Rows of runs with everything that belongs to them."""
    beside: dict[str, dict[int, list[Row]]] = {}
    for name, statement in _BESIDE.items():
        of_runs = beside[name] = {}
        for part in parts([row["number"] for row in rows]):
            marks, params = marked(part)
            for row in tx.rows(statement.format(marks), params):
                of_runs.setdefault(row["run"], []).append(row)
    return [assembled(row, beside) for row in rows]


def assembled(row: Row, beside: Mapping[str, Mapping[int, list[Row]]]) -> Run:
    """A run; one whose process died shows as killed."""
    number = row["number"]
    texts = {name: {one["key"]: one["value"] for one in beside[name].get(number, ())} for name in ("params", "tags")}
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
        metrics={one["key"]: plain(one["value"], one["is_nan"]) for one in beside["metrics"].get(number, ())},
        surroundings=msgspec.json.decode(row["surroundings"]),
        links=tuple(link(one) for one in beside["links"].get(number, ())),
        state=row["state"],
        experiment_id=row["experiment_id"],
        user_id=row["user_id"],
        artifact_root=row["artifact_root"],
    )


def link(row: Row) -> Link:
    """An input or output."""
    tags = msgspec.json.decode(row["tags"]) if row["tags"] != "{}" else {}
    return Link(direction=row["direction"], name=row["name"], digest=row["digest"], kind=row["kind"], tags=tags)


def new_batch(tx: Transaction, batch: str, run_id: str, at: str) -> bool:
    """Remember a batch of measurements; False when it was there already."""
    statement = "INSERT INTO tracking_batches (id, run_id, at) VALUES (:id, :run_id, :at) ON CONFLICT DO NOTHING"
    return tx.run(statement, {"id": batch, "run_id": run_id, "at": at}) > 0


def texts(tx: Transaction, table: str, run: int) -> dict[str, str]:
    """Params or tags of the run with this number; `table` is one of these two words."""
    rows = tx.rows(f"SELECT key, value FROM tracking_{table} WHERE run = :run", {"run": run})
    return {row["key"]: row["value"] for row in rows}


def some_params(tx: Transaction, run: int, keys: Sequence[str]) -> dict[str, str]:
    """Those params of a run that have these names."""
    found: dict[str, str] = {}
    for part in parts(keys):
        marks, params = marked(part)
        rows = tx.rows(
            f"SELECT key, value FROM tracking_params WHERE run = :run AND key IN ({marks})", {**params, "run": run}
        )
        found |= {row["key"]: row["value"] for row in rows}
    return found


def put_texts(tx: Transaction, table: str, run: int, values: Mapping[str, str]) -> None:
    """Set params or tags of the run with this number; `table` is one of these two words."""
    if values:
        tx.run_many(
            f"INSERT INTO tracking_{table} (run, key, value) VALUES (:run, :key, :value) "
            "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value",
            [{"run": run, "key": key, "value": value} for key, value in values.items()],
        )


def put_artifact(tx: Transaction, owner: str, artifact: Artifact) -> None:
    """An artifact of a run or another owner; one of the same name is replaced."""
    tx.run(
        """INSERT INTO tracking_artifacts (owner, name, digest, size, media_type, created_at)
        VALUES (:owner, :name, :digest, :size, :media_type, :created_at) ON CONFLICT (owner, name) DO UPDATE SET
        digest = excluded.digest, size = excluded.size, media_type = excluded.media_type,
        created_at = excluded.created_at""",
        {"owner": owner, **msgspec.structs.asdict(artifact)},
    )


def artifacts(tx: Transaction, owner: str) -> list[Artifact]:
    """All artifacts of a run or another owner by name."""
    statement = (
        "SELECT name, digest, size, media_type, created_at FROM tracking_artifacts WHERE owner = :id ORDER BY name"
    )
    return [Artifact(**row) for row in tx.rows(statement, {"id": owner})]


def add_links(tx: Transaction, run_id: str, links: Iterable[Link]) -> None:
    """Inputs and outputs, each kept once; one that comes again replaces its tags when it has any."""
    tx.run_many(
        """INSERT INTO tracking_links (run_id, direction, name, digest, kind, tags)
        VALUES (:run_id, :direction, :name, :digest, :kind, :tags) ON CONFLICT (run_id, direction, name, digest)
        DO UPDATE SET tags = excluded.tags WHERE excluded.tags <> '{}'""",
        [{"run_id": run_id, **msgspec.structs.asdict(one), "tags": json_text(one.tags)} for one in links],
    )


def json_text(value: Any) -> str:
    """Plain data as JSON text."""
    return msgspec.json.encode(value).decode()


def runs_with(tx: Transaction, digest: str, direction: str) -> list[str]:
    """Ids of the runs that a thing went into, or came out of."""
    statement = "SELECT run_id FROM tracking_links WHERE digest = :digest AND direction = :direction ORDER BY run_id"
    return [row["run_id"] for row in tx.rows(statement, {"digest": digest, "direction": direction})]


def parts(ids: Sequence[T]) -> Iterable[Sequence[T]]:
    """The ids in portions that one statement can carry."""
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))


def marked(ids: Sequence[T]) -> tuple[str, dict[str, T]]:
    """Marks for an IN list, and their parameters."""
    return ", ".join(f":i{n}" for n in range(len(ids))), {f"i{n}": one for n, one in enumerate(ids)}

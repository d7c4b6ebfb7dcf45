"""What belongs to experiments and runs. While they are in the trash their rows stay, marked as deleted: that is what
MLflow's clients call deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from loopline.core.belongings import Belongings, Block, Candidate, Going, Hidden, Reference, Rows, Swept, Thing
from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.core.times import to_text
from loopline.kit.rows import among
from loopline.usecases.tracking.processes import is_dead

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
BATCHES_FOR_S = 30 * 86400.0
_NUMBERS = "SELECT number FROM tracking_runs WHERE {}"
_MODELS = "SELECT id FROM tracking_models WHERE {}"
_RUNS_OF = (
    "UPDATE tracking_runs SET state = :state, deleted_at = :at"
    " WHERE experiment_id IN (SELECT id FROM tracking_experiments WHERE {})"
)
OF_NUMBER = ("points", "blocks", "latest", "params", "tags")
OF_MODEL = ("model_params", "model_tags", "model_metrics")
OF_TRACE = ("spans", "trace_metadata", "trace_tags")
WORDS = {"params": "params", "latest": "metrics"}


class Owner(Belongings):
    """Runs and experiments."""

    kinds = ("run", "experiment")
    hides = kinds
    unrelated = {
        "tracking_params": "",
        "tracking_points": "",
        "tracking_keys": "",
        "tracking_latest": "",
        "tracking_blocks": "",
        "tracking_batches": "",
        "tracking_datasets": "",
        "tracking_model_metrics": "",
        "tracking_spans": "",
        "tracking_traces": "",
        "tracking_trace_metadata": "",
        "tracking_trace_tags": "",
        "tracking_links": "kind = 'dataset' OR direction = 'input'",  # its bytes are the dataset's
    }

    def find(self, tx: Any, kind: str, name: str) -> Thing:
        if kind == "experiment":
            row = tx.row("SELECT name FROM tracking_experiments WHERE name = :name", {"name": name})
            if row is None:
                raise NotFound(f"There is no experiment {name[:80]!r}.", "`loopline runs` shows those that have runs.")
            return Thing(kind, row["name"], row["name"])
        low = name.lower()
        found = tx.rows(
            "SELECT id, name FROM tracking_runs WHERE id >= :low AND id < :high LIMIT 2",
            {"low": low, "high": low + "g"},
        )
        if len(name) < 4 or not found:
            raise NotFound(f"There is no run {name[:40]!r}.", "`loopline runs` lists them.")
        if len(found) > 1:
            raise Invalid(f"Several runs begin with {name!r}.", "Write more of the id.")
        return Thing(kind, found[0]["id"], found[0]["name"])

    def below(self, tx: Any, kind: str, names: Sequence[str]) -> Going:
        if kind != "experiment":
            return {}
        where, params = among("e.name", names)
        rows = tx.rows(
            "SELECT r.id FROM tracking_runs r JOIN tracking_experiments e ON e.id = r.experiment_id"
            f" WHERE {where} ORDER BY r.number",
            params,
        )
        return {"run": [row["id"] for row in rows]}

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        return of_runs(names) if kind == "run" else of_experiments(names) if kind == "experiment" else ()

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        if "Default" in going.get("experiment", ()):
            yield Block("experiment", "Default", "it is always there", "Remove its runs one by one, or by a policy.")
        runs = set(going.get("run", ()))
        for row in tx.rows("SELECT id, name, process FROM tracking_runs WHERE status = 'running'") if runs else ():
            if row["id"] in runs and row["process"] and not is_dead(row["process"]):
                way_out = f"`loopline cancel {row['id'][:8]}`, or wait for its end."
                yield Block("run", row["id"], f"{row['name']} is still running", way_out)

    def references(self, tx: Any) -> Iterable[Reference]:
        owners, names = owners_of(tx)
        # what is shared with a version is counted there: its manifest names the same files
        for row in tx.rows("SELECT owner, digest FROM tracking_artifacts WHERE owner NOT LIKE 'version %'"):
            yield reference(row["owner"], row["digest"], owners, names)
        statement = "SELECT run_id, digest FROM tracking_links WHERE direction = 'output' AND kind <> 'dataset'"
        for row in tx.rows(statement):
            yield reference(row["run_id"], row["digest"], owners, names)
        for row in tx.rows("SELECT id, surroundings FROM tracking_runs WHERE LENGTH(surroundings) >= 64"):
            for digest in DIGEST.findall(row["surroundings"]):
                yield reference(row["id"], digest, owners, names)

    def hide(self, tx: Any, kind: str, names: Sequence[str], at: str) -> None:
        where, params = among("id" if kind == "run" else "name", names)
        if kind == "run":
            condition = f"state <> 'deleted' AND {where}"
            tx.run(
                f"UPDATE tracking_runs SET state = 'deleted', deleted_at = :at WHERE {condition}", params | {"at": at}
            )
        else:
            tx.run(f"{_RUNS_OF.format(where)} AND state <> 'deleted'", params | {"at": at, "state": "deleted"})
            tx.run(
                f"UPDATE tracking_experiments SET state = 'deleted', updated_at = :at WHERE {where}",
                params | {"at": at},
            )

    def show(self, tx: Any, kind: str, names: Sequence[str], at: str) -> None:
        where, params = among("id" if kind == "run" else "name", names)
        if kind == "run":
            self._in_sight(tx, where, params)
            tx.run(f"UPDATE tracking_runs SET state = 'active', deleted_at = NULL WHERE {where}", params)
        else:
            went_with_it = "deleted_at = (SELECT updated_at FROM tracking_experiments e WHERE e.id = experiment_id)"
            given = params | {"at": None, "state": "active"}
            tx.run(f"{_RUNS_OF.format(where)} AND state = 'deleted' AND {went_with_it}", given)
            tx.run(
                f"UPDATE tracking_experiments SET state = 'active', updated_at = :at WHERE {where}", params | {"at": at}
            )

    def hidden(self, tx: Any) -> Sequence[Hidden]:
        rows = tx.rows(
            "SELECT 'experiment' AS kind, name, name AS title, updated_at AS at FROM tracking_experiments"
            " WHERE state = 'deleted' UNION ALL "
            "SELECT 'run', r.id, r.name, COALESCE(r.deleted_at, r.started_at) FROM tracking_runs r"
            " JOIN tracking_experiments e ON e.id = r.experiment_id"
            " WHERE r.state = 'deleted' AND e.state <> 'deleted' ORDER BY at DESC"
        )
        return [Hidden(row["kind"], row["name"], row["title"], row["at"]) for row in rows]

    def _in_sight(self, tx: Any, where: str, params: dict[str, Any]) -> None:
        """Conflict when the experiment of a run is deleted itself."""
        row = tx.row(
            "SELECT e.name FROM tracking_experiments e JOIN tracking_runs r ON r.experiment_id = e.id"
            f" WHERE e.state = 'deleted' AND {where.replace('id IN', 'r.id IN')}",
            params,
        )
        if row is not None:
            what = f"The experiment {row['name']!r} of the run is deleted itself."
            raise Conflict(what, f"First `loopline restore experiment {row['name']}`.")

    def sweep(self, now: float, dry_run: bool) -> Iterable[Swept]:
        """Ids of batches: whoever sends one again does so within days."""
        before = {"at": to_text(datetime.fromtimestamp(now - BATCHES_FOR_S, UTC))}
        database, found = self.service._database, "FROM tracking_batches WHERE at < :at"
        count = database.row(f"SELECT COUNT(*) AS n {found}", before)["n"]
        if count and not dry_run:
            database.write(lambda tx: tx.run(f"DELETE {found}", before))
        yield Swept("ids of delivered batches", count)

    def candidates(self, tx: Any, experiment: str, metric: str) -> Iterator[Candidate]:
        """The runs of an experiment that are not deleted, with the latest value of a metric (None where it has none)."""
        whose = (
            "JOIN tracking_experiments e ON e.id = r.experiment_id WHERE e.name = :experiment AND r.state = 'active'"
        )
        params = {"experiment": experiment, "metric": metric}
        tags: dict[int, dict[str, str]] = {}
        statement = (
            f"SELECT t.run, t.key, t.value FROM tracking_runs r JOIN tracking_tags t ON t.run = r.number {whose}"
        )
        for row in tx.rows(statement, {"experiment": experiment}):
            tags.setdefault(row["run"], {})[row["key"]] = row["value"]
        rows = tx.rows(
            "SELECT r.number, r.id, r.name, r.status, COALESCE(r.ended_at, r.started_at) AS at, l.value, l.is_nan"
            " FROM tracking_runs r LEFT JOIN tracking_latest l ON l.run = r.number AND l.key ="
            f" (SELECT id FROM tracking_keys WHERE name = :metric) {whose} ORDER BY r.number",
            params,
        )
        for row in rows:
            value = None if row["value"] is None or row["is_nan"] else row["value"]
            ended = row["status"] not in ("running", "scheduled")
            yield Candidate(row["id"], row["name"], row["at"], ended, value, tags.get(row["number"], {}))


def of_runs(names: Sequence[str]) -> Iterator[Rows]:
    """All rows of runs; a model that one of them logged goes with it."""
    ids, params = among("id", names)
    numbers, models = _NUMBERS.format(ids), _MODELS.format(ids.replace("id IN", "source_run_id IN"))
    for table in OF_NUMBER:
        yield Rows(f"tracking_{table}", f"run IN ({numbers})", params, WORDS.get(table, ""))
    yield from of_models(models, params)
    yield Rows("tracking_artifacts", ids.replace("id IN", "owner IN"), params, "artifacts")
    yield Rows("tracking_links", ids.replace("id IN", "run_id IN"), params)
    yield Rows("tracking_batches", ids.replace("id IN", "run_id IN"), params)
    yield Rows("tracking_runs", ids, params)


def of_models(models: str, params: dict[str, Any]) -> Iterator[Rows]:
    """Logged models and all that belongs to them; `models` is a query of their ids."""
    for table in OF_MODEL:
        yield Rows(f"tracking_{table}", f"model_id IN ({models})", params)
    yield Rows("tracking_artifacts", f"owner IN ({models})", params, "files of logged models")
    yield Rows("tracking_models", f"id IN ({models})", params, "logged models")


def of_experiments(names: Sequence[str]) -> Iterator[Rows]:
    """What experiments have beside their runs."""
    where, params = among("name", names)
    ids = f"SELECT id FROM tracking_experiments WHERE {where}"
    yield from of_models(_MODELS.format(f"experiment_id IN ({ids})"), params)
    places = f"owner IN (SELECT 'e/' || id FROM tracking_experiments WHERE {where})"
    yield Rows("tracking_artifacts", places, params, "files beside the runs")
    traces = f"trace_id IN (SELECT id FROM tracking_traces WHERE experiment_id IN ({ids}))"
    for table in OF_TRACE:
        yield Rows(f"tracking_{table}", traces, params, "spans" if table == "spans" else "")
    yield Rows("tracking_traces", f"experiment_id IN ({ids})", params, "traces")
    yield Rows("tracking_datasets", f"experiment_id IN ({ids})", params)
    yield Rows("tracking_experiment_tags", f"experiment_id IN ({ids})", params)
    yield Rows("tracking_experiments", where, params)


def owners_of(tx: Any) -> tuple[dict[str, tuple[str, int]], dict[int, str]]:
    """Owner of artifacts → (run id or "", number of the experiment), and the names of experiments."""
    names = {row["id"]: row["name"] for row in tx.rows("SELECT id, name FROM tracking_experiments")}
    owners = {
        row["id"]: (row["id"], row["experiment_id"]) for row in tx.rows("SELECT id, experiment_id FROM tracking_runs")
    }
    for row in tx.rows("SELECT id, experiment_id, source_run_id FROM tracking_models"):
        owners[row["id"]] = (row["source_run_id"] if row["source_run_id"] in owners else "", row["experiment_id"])
    return owners | {f"e/{number}": ("", number) for number in names}, names


def reference(owner: str, digest: str, owners: dict[str, tuple[str, int]], names: dict[int, str]) -> Reference:
    """Who needs bytes: a run, an experiment, or nobody known ("artifacts")."""
    run, number = owners.get(owner, ("", -1))
    under = ("experiment", names.get(number, "")) if number in names else ("artifacts", owner)
    return Reference("run", run, digest, under) if run else Reference(under[0], under[1], digest, under)

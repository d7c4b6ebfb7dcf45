"""MLflow's tables (of 2.x and 3.x) in SQLite or PostgreSQL, only read.

Columns differ from one schema to the next: rows of small tables are read whole, and what is not there has its default.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from loopline.core.errors import Invalid, Unavailable
from loopline.usecases.imports import model
from loopline.usecases.imports.model import (
    Dataset,
    Experiment,
    File,
    LoggedModel,
    ModelMetric,
    Point,
    RegisteredModel,
    Report,
    Run,
    Version,
)
from loopline.usecases.imports.sources.places import Places

PORTION = 500
DELETED = "Deleted_Internal"
NEEDED = ("experiments", "runs", "params", "tags", "metrics", "latest_metrics")
Row = Mapping[str, Any]


class Engine(Protocol):
    """A database that is only read."""

    name: str

    def tables(self) -> set[str]:
        """The names of its tables."""

    def rows(self, statement: str, params: Sequence[Any] = ()) -> Iterable[Row]:
        """What a query with ? marks answers, by column name."""

    def plain(self, statement: str, params: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        """What a query answers, by position and as it comes."""

    def close(self) -> None:
        """Let go of it."""


class SQLite:
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        self.name = f"sqlite:///{path.resolve()}"
        try:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise Invalid(f"{path} is no SQLite database ({error}).", "Name MLflow's database file.") from None

    def tables(self) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, statement: str, params: Sequence[Any] = ()) -> Iterable[Row]:
        with told(self.name):
            return [dict(row) for row in self._db.execute(statement, params)]

    def plain(self, statement: str, params: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        with told(self.name):
            cursor = self._db.cursor()
            cursor.row_factory = None
            yield from cursor.execute(statement, params)

    def close(self) -> None:
        self._db.close()


class PostgreSQL:
    """A database on a PostgreSQL server; all is read from one snapshot."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise Unavailable(
                "Reading PostgreSQL needs the package psycopg.", "pip install 'loopline[postgres]'"
            ) from None
        rest = url.partition("://")[2]
        where = urlsplit(url)
        self.name = f"postgresql://{where.hostname or ''}:{where.port or 5432}{where.path}"
        try:
            self._db: Any = psycopg.connect(f"postgresql://{rest}", connect_timeout=20)
            self._db.read_only = True
            self._db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise Unavailable(f"{self.name} does not answer ({reason}).", "See that it runs and lets you in.") from None
        self._errors = psycopg.Error

    def tables(self) -> set[str]:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))"
        return {row[0] for row in self.plain(query)}

    def rows(self, statement: str, params: Sequence[Any] = ()) -> Iterable[Row]:
        from psycopg.rows import dict_row

        with told(self.name, self._errors), self._db.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(statement.replace("?", "%s"), params).fetchall())

    def plain(self, statement: str, params: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        with told(self.name, self._errors), self._db.cursor(name="loopline") as cursor:
            cursor.itersize = 20_000
            yield from cursor.execute(statement.replace("?", "%s"), params)

    def close(self) -> None:
        with contextlib.suppress(self._errors):
            self._db.close()


@contextlib.contextmanager
def told(name: str, kind: type[Exception] = sqlite3.Error) -> Iterator[None]:
    """The driver's errors in our words."""
    try:
        yield
    except kind as error:
        raise Unavailable(
            f"{name} cannot be read ({str(error).strip().splitlines()[0]}).", "Try again later."
        ) from None


class Store:
    """MLflow's database as a source."""

    def __init__(self, engine: Engine, roots: list[Path]) -> None:
        self._engine = engine
        self._places = Places(roots)
        self.name = engine.name
        self._tables = engine.tables()
        if missing := [table for table in NEEDED if table not in self._tables]:
            engine.close()
            raise Invalid(f"{self.name} holds no MLflow tables ({missing[0]} is missing).", "Name MLflow's database.")

    def count(self) -> int | None:
        return int(next(iter(self._engine.plain("SELECT COUNT(*) FROM runs")))[0])

    def experiments(self, report: Report) -> Iterator[Experiment]:
        tags = self._texts("experiment_tags", "experiment_id")
        for row in self._whole("SELECT * FROM experiments ORDER BY experiment_id"):
            yield Experiment(
                id=str(row["experiment_id"]),
                name=named(row),
                state=row["lifecycle_stage"] or "active",
                location=row["artifact_location"] or "",
                created_ms=row.get("creation_time") or 0,
                updated_ms=row.get("last_update_time") or 0,
                tags=tags.get(row["experiment_id"], {}),
            )

    def runs(self, experiment: Experiment, report: Report) -> Iterator[list[Run]]:
        datasets = self._datasets(experiment)
        last = ""
        while rows := self._page(experiment, last):
            ids = [row["run_uuid"] for row in rows]
            last = ids[-1]
            params, tags = (self._texts(table, "run_uuid", ids) for table in ("params", "tags"))
            latest: dict[str, list[Any]] = {}
            for run_id, *rest in self._of(ids, "run_uuid, key, step, timestamp, value FROM latest_metrics", "run_uuid"):
                latest.setdefault(run_id, []).append(rest)
            sizes = dict(self._of(ids, "run_uuid, COUNT(*) FROM metrics", "run_uuid", " GROUP BY run_uuid"))
            uses, outputs = self._inputs(ids, datasets), self._models(ids)
            found = []
            for row in rows:
                run_id = row["run_uuid"]
                run = run_of(row, params.get(run_id, {}), tags.get(run_id, {}))
                run.datasets = uses.get(run_id, [])
                run.models_in, run.models_out = outputs.get(run_id, ([], []))
                measured = sorted(latest.get(run_id, ()), key=lambda one: str(one[0]))
                run.keys = [one[0] for one in measured]
                run.size = int(sizes.get(run_id, 0))
                run.stamp = model.stamp_of(run, measured)
                found.append(run)
            yield found

    def points(self, runs: list[Run], report: Report) -> Iterable[Point]:
        for ids in model.portions((run.id for run in runs), PORTION):
            rows = self._of(ids, "run_uuid, key, timestamp, step, value, is_nan FROM metrics", "run_uuid")
            for run_id, key, at_ms, step, value, is_nan in rows:
                yield Point(run_id, key, at_ms or 0, step, float("nan") if is_nan else value)

    def logged_models(self, experiment: Experiment, report: Report) -> Iterator[list[LoggedModel]]:
        if "logged_models" not in self._tables:
            return
        number = int(experiment.id)
        rows = list(self._whole("SELECT * FROM logged_models WHERE experiment_id = ? ORDER BY model_id", [number]))
        for portion in model.portions(rows, PORTION):
            ids = [row["model_id"] for row in portion]
            params = self._texts("logged_model_params", "model_id", ids, "param_key, param_value")
            tags = self._texts("logged_model_tags", "model_id", ids, "tag_key, tag_value")
            metrics = self._model_metrics(ids)
            yield [
                logged(row, params.get(one, {}), tags.get(one, {}), metrics.get(one, []))
                for one, row in zip(ids, portion, strict=True)
            ]

    def registered(self, report: Report) -> Iterator[RegisteredModel]:
        if "registered_models" not in self._tables:
            return
        beside = {
            table: list(self._whole(f"SELECT * FROM {table}"))
            for table in ("registered_model_tags", "model_version_tags", "registered_model_aliases", "model_versions")
            if table in self._tables
        }
        of_model: dict[str, dict[str, list[Row]]] = {}
        for table, rows in beside.items():
            for row in rows:
                of_model.setdefault(named(row), {}).setdefault(table, []).append(row)
        for row in self._whole("SELECT * FROM registered_models ORDER BY name"):
            yield registered(row, of_model.get(named(row), {}))

    def files(self, owner: Run | LoggedModel, report: Report) -> Iterator[File]:
        yield from files_of(self._places, owner, report)

    def close(self) -> None:
        self._engine.close()

    def _page(self, experiment: Experiment, last: str) -> list[Row]:
        query = f"SELECT * FROM runs WHERE experiment_id = ? AND run_uuid > ? ORDER BY run_uuid LIMIT {PORTION}"
        return list(self._engine.rows(query, [int(experiment.id), last]))

    def _whole(self, query: str, params: Sequence[Any] = ()) -> Iterable[Row]:
        return self._engine.rows(query, params)

    def _of(self, ids: Sequence[str], what: str, column: str, more: str = "") -> Iterable[Any]:
        marks = ", ".join("?" * len(ids))
        return self._engine.plain(f"SELECT {what} WHERE {column} IN ({marks}){more}", list(ids))

    def _texts(
        self, table: str, owner: str, ids: Sequence[str] | None = None, columns: str = "key, value"
    ) -> dict[Any, dict[str, str]]:
        found: dict[Any, dict[str, str]] = {}
        what = f"{owner}, {columns} FROM {table}"
        rows = self._engine.plain(f"SELECT {what}") if ids is None else self._of(ids, what, owner)
        for one, key, value in rows:
            found.setdefault(one, {})[key] = value or ""
        return found

    def _datasets(self, experiment: Experiment) -> dict[str, Row]:
        if "datasets" not in self._tables:
            return {}
        rows = self._engine.rows("SELECT * FROM datasets WHERE experiment_id = ?", [int(experiment.id)])
        return {row["dataset_uuid"]: row for row in rows}

    def _inputs(self, ids: Sequence[str], datasets: Mapping[str, Row]) -> dict[str, list[Dataset]]:
        if not datasets:
            return {}
        what = "destination_id, source_id, input_uuid FROM inputs"
        where = "source_type = 'DATASET' AND destination_type = 'RUN' AND destination_id"
        edges = [edge for edge in self._of(ids, what, where) if edge[1] in datasets]
        tags: dict[str, dict[str, str]] = {}
        for portion in model.portions(edges, PORTION):
            tags |= self._texts("input_tags", "input_uuid", [edge[2] for edge in portion], "name, value")
        found: dict[str, list[Dataset]] = {}
        for run_id, dataset, edge in sorted(edges):
            found.setdefault(run_id, []).append(dataset_of(datasets[dataset], tags.get(edge, {})))
        return found

    def _models(self, ids: Sequence[str]) -> dict[str, tuple[list[str], list[tuple[str, int]]]]:
        found: dict[str, tuple[list[str], list[tuple[str, int]]]] = {}
        if "logged_models" not in self._tables:
            return found
        what = "source_id, destination_type, destination_id, step FROM inputs"
        where = "destination_type IN ('MODEL_INPUT', 'MODEL_OUTPUT') AND source_id"
        for run_id, kind, one, step in sorted(self._of(ids, what, where)):
            inputs, outputs = found.setdefault(run_id, ([], []))
            if kind == "MODEL_INPUT":
                inputs.append(one)
            else:
                outputs.append((one, step or 0))
        return found

    def _model_metrics(self, ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
        found: dict[str, list[ModelMetric]] = {}
        columns = "model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, run_id, dataset_name, dataset_digest"
        for one, key, at, step, value, *where in self._of(ids, f"{columns} FROM logged_model_metrics", "model_id"):
            texts = (text or "" for text in where)
            number = float("nan") if value is None else value
            found.setdefault(one, []).append(ModelMetric(key, at, step, number, *texts))
        return found


def files_of(places: Places, owner: Run | LoggedModel, report: Report) -> Iterator[File]:
    """The files of a run or logged model on this machine."""
    is_run = isinstance(owner, Run)
    uri = owner.artifact_uri if isinstance(owner, Run) else owner.location
    tail = f"{owner.experiment}/{'' if is_run else 'models/'}{owner.id}/artifacts"
    folder = places.folder(uri, tail)
    if folder is not None:
        yield from places.files(folder, owner.id, report)
    elif not is_run or is_far(uri):
        report.lose("artifacts", owner.id, places.why_not(uri))


def is_far(uri: str) -> bool:
    """Whether an address is of no folder: a run's folder appears only with its first artifact, and may be missing."""
    return len(urlsplit(uri).scheme) > 1 and urlsplit(uri).scheme not in ("file", "mlflow-artifacts")


def named(row: Row) -> str:
    """A name, with its workspace before it unless that is the usual one."""
    workspace = row.get("workspace") or "default"
    return str(row["name"]) if workspace == "default" else f"{workspace}.{row['name']}"


def run_of(row: Row, params: dict[str, str], tags: dict[str, str]) -> Run:
    """A run's row with its params and tags."""
    return Run(
        id=row["run_uuid"],
        experiment=str(row["experiment_id"]),
        name=row.get("name") or tags.get("mlflow.runName", ""),
        status=(row["status"] or "RUNNING").lower(),
        state=row["lifecycle_stage"] or "active",
        user_id=row["user_id"] or "",
        started_ms=row["start_time"] or 0,
        ended_ms=row["end_time"],
        deleted_ms=row.get("deleted_time"),
        artifact_uri=row["artifact_uri"] or "",
        params=params,
        tags=tags,
    )


def dataset_of(row: Row, tags: dict[str, str]) -> Dataset:
    """A dataset's row as an input."""
    return Dataset(
        name=row["name"],
        digest=row["digest"],
        source_type=row["dataset_source_type"],
        source=row["dataset_source"],
        schema=row["dataset_schema"] or "",
        profile=row["dataset_profile"] or "",
        tags=tags,
    )


def logged(row: Row, params: dict[str, str], tags: dict[str, str], metrics: list[ModelMetric]) -> LoggedModel:
    """A logged model's row with what belongs to it."""
    found = LoggedModel(
        id=row["model_id"],
        experiment=str(row["experiment_id"]),
        name=row["name"],
        type=row["model_type"] or "",
        status=model.MODEL_STATUSES.get(row["status"], "ready"),
        status_message=row["status_message"] or "",
        state=row["lifecycle_stage"] or "active",
        source_run_id=row["source_run_id"] or "",
        location=row["artifact_location"] or "",
        created_ms=row["creation_timestamp_ms"] or 0,
        updated_ms=row["last_updated_timestamp_ms"] or 0,
        params=params,
        tags=tags,
        metrics=sorted(metrics, key=str),
    )
    found.stamp = model.stamp_of(found)
    return found


def registered(row: Row, beside: Mapping[str, list[Row]]) -> RegisteredModel:
    """A registered model's row with its versions, tags and aliases."""
    tags: dict[int, dict[str, str]] = {}
    for one in beside.get("model_version_tags", ()):
        tags.setdefault(one["version"], {})[one["key"]] = one["value"] or ""
    versions = sorted(beside.get("model_versions", ()), key=lambda one: one["version"])
    return RegisteredModel(
        name=named(row),
        last=max((int(one["version"]) for one in versions), default=0),
        description=row.get("description") or "",
        created_ms=row["creation_time"] or 0,
        updated_ms=row["last_updated_time"] or 0,
        tags={one["key"]: one["value"] or "" for one in beside.get("registered_model_tags", ())},
        aliases={one["alias"]: int(one["version"]) for one in beside.get("registered_model_aliases", ())},
        versions=[version_of(one, tags.get(one["version"], {})) for one in versions if one["current_stage"] != DELETED],
    )


def version_of(row: Row, tags: dict[str, str]) -> Version:
    """A version's row; those of files have the same columns but for the names of times."""
    source = row.get("source") or ""
    return Version(
        number=int(row["version"]),
        source=source,
        storage=row.get("storage_location") or "",
        run_id=row.get("run_id") or "",
        model_id=row.get("model_id") or (source.removeprefix("models:/") if source.startswith("models:/m-") else ""),
        stage=row.get("current_stage") or "None",
        status=row.get("status") or "READY",
        status_message=row.get("status_message") or "",
        description=row.get("description") or "",
        user_id=row.get("user_id") or "",
        run_link=row.get("run_link") or "",
        created_ms=row.get("creation_time") or row.get("creation_timestamp") or 0,
        updated_ms=row.get("last_updated_time") or row.get("last_updated_timestamp") or 0,
        tags=tags,
    )

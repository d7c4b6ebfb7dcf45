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
)
from loopline.usecases.imports.sources.places import Places
from loopline.usecases.imports.sources.rows import Row, dataset_of, files_of, logged, named, registered, run_of

PORTION = 500
NEEDED = ("experiments", "runs", "params", "tags", "metrics", "latest_metrics")


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

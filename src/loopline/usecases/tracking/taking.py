"""Whole runs, experiments and logged models that come from elsewhere, many in one transaction.

Nothing here is a fact: whoever brings them in writes one fact for the batch, in the same transaction.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from loopline.core.errors import Conflict, Invalid
from loopline.core.times import from_ms
from loopline.ports.database import Transaction
from loopline.usecases.tracking import files, points, store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.intake import row_of
from loopline.usecases.tracking.model import ENDED, checked_experiment, checked_key, order

_ADD_RUN = """INSERT INTO tracking_runs (id, experiment_id, name, kind, status, state, deleted_at, started_at, ended_at,
 created_by, user_id) VALUES (:id, :experiment_id, :name, 'run', :status, :state, :deleted_at, :started_at, :ended_at,
 :created_by, :user_id) ON CONFLICT (id) DO UPDATE SET name = excluded.name, status = excluded.status,
 state = excluded.state, deleted_at = excluded.deleted_at, ended_at = excluded.ended_at"""
_ADD_PARAM = "INSERT INTO tracking_params (run, key, value) VALUES (:run, :key, :value) ON CONFLICT DO NOTHING"
_PUT_TAG = """INSERT INTO tracking_tags (run, key, value) VALUES (:run, :key, :value)
 ON CONFLICT (run, key) DO UPDATE SET value = excluded.value"""
_ADD_DATASET = """INSERT INTO tracking_datasets (experiment_id, name, digest, source_type, source, schema, profile)
 VALUES (:experiment_id, :name, :digest, :source_type, :source, :schema, :profile) ON CONFLICT DO NOTHING"""
_PUT_LINK = """INSERT INTO tracking_links (run_id, direction, name, digest, kind, tags)
 VALUES (:run_id, :direction, :name, :digest, :kind, :tags) ON CONFLICT (run_id, direction, name, digest)
 DO UPDATE SET tags = excluded.tags"""
_PUT_ARTIFACT = """INSERT INTO tracking_artifacts (owner, name, digest, size, media_type, created_at)
 VALUES (:owner, :name, :digest, :size, :media_type, :created_at) ON CONFLICT (owner, name) DO UPDATE SET
 digest = excluded.digest, size = excluded.size, media_type = excluded.media_type, created_at = excluded.created_at"""
_PUT_MODEL = """INSERT INTO tracking_models (id, experiment_id, name, type, status, status_message, state, source_run_id,
 created_at, updated_at) VALUES (:id, :experiment_id, :name, :type, :status, :status_message, :state, :source_run_id,
 :created_at, :updated_at) ON CONFLICT (id) DO UPDATE SET status = excluded.status, state = excluded.state,
 status_message = excluded.status_message, updated_at = excluded.updated_at"""
_PUT_MODEL_TEXT = """INSERT INTO tracking_model_{} (model_id, key, value) VALUES (:model_id, :key, :value)
 ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value"""
_ADD_MODEL_METRIC = """INSERT INTO tracking_model_metrics
 (model_id, key, at_ms, step, value, is_nan, run_id, dataset_name, dataset_digest) VALUES
 (:model_id, :key, :at_ms, :step, :value, :is_nan, :run_id, :dataset_name, :dataset_digest) ON CONFLICT DO NOTHING"""
_ADD_EXPERIMENT = """INSERT INTO tracking_experiments (name, state, created_at, created_by, updated_at)
 VALUES (:name, :state, :created_at, :created_by, :updated_at)"""
_PUT_EXPERIMENT_TAG = """INSERT INTO tracking_experiment_tags (experiment_id, key, value) VALUES (:id, :key, :value)
 ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value"""


class WholeRun(Protocol):
    """A run that comes in. `datasets` are inputs with name, digest, source_type, source, schema, profile and tags;
    `models_in` ids of logged models, `models_out` ids with the step at which they came out, `keys` the metrics' names."""

    id: str
    name: str
    status: str
    state: str
    user_id: str
    started_ms: int
    ended_ms: int | None
    deleted_ms: int | None
    params: dict[str, str]
    tags: dict[str, str]
    datasets: list[Any]
    models_in: list[str]
    models_out: list[tuple[str, int]]
    keys: list[str]


class WholeModel(Protocol):
    """A logged model that comes in; `metrics` are (key, at_ms, step, value, run_id, dataset_name, dataset_digest)."""

    id: str
    name: str
    type: str
    status: str
    status_message: str
    state: str
    source_run_id: str
    created_ms: int
    updated_ms: int
    params: dict[str, str]
    tags: dict[str, str]
    metrics: list[Any]


class Taking(Base):
    """Taking in what was tracked elsewhere. Taking the same in again changes nothing; what has grown since, grows."""

    def take_experiment_in(
        self,
        tx: Transaction,
        name: str,
        state: str,
        created_ms: int,
        updated_ms: int,
        tags: Mapping[str, str],
        actor: str,
    ) -> tuple[int, bool]:
        """The number of the experiment of that name and whether it was made just now; one that is there gets the tags.
        Conflict when it is in the trash here, Invalid for a bad name."""
        checked_experiment(name)
        found = tx.row("SELECT id, state FROM tracking_experiments WHERE name = :name", {"name": name})
        if found is not None and found["state"] == "deleted" and state != "deleted":
            raise Conflict(f"The experiment {name[:80]!r} is in the trash.", "Restore it first, or give a prefix.")
        if found is None:
            row = {"name": name, "state": state, "created_by": actor}
            tx.run(_ADD_EXPERIMENT, {**row, "created_at": from_ms(created_ms), "updated_at": from_ms(updated_ms)})
        there = tx.row("SELECT id FROM tracking_experiments WHERE name = :name", {"name": name})
        number = int(there["id"]) if there else 0
        tx.run_many(_PUT_EXPERIMENT_TAG, [{"id": number, "key": key, "value": value} for key, value in tags.items()])
        return number, found is None

    def started_ats(self, ids: Sequence[str]) -> dict[str, str]:
        """When those of the runs that exist began."""
        found: dict[str, str] = {}

        def work(tx: Transaction) -> None:
            for part in store.parts(ids):
                marks, params = store.marked(part)
                rows = tx.rows(f"SELECT id, started_at FROM tracking_runs WHERE id IN ({marks})", params)
                found.update((row["id"], row["started_at"]) for row in rows)

        self._database.read(work)
        return found

    def take_in(
        self,
        tx: Transaction,
        experiment: int,
        runs: Sequence[WholeRun],
        measured: Iterable[tuple[str, str, int, int, float]],
        actor: str,
    ) -> int:
        """Keep whole runs of an experiment with all their points, each (run id, key, time in ms, step, value); answers
        how many points were given."""
        tx.run_many(_ADD_RUN, [self._run_row(experiment, run, actor) for run in runs])
        numbers = numbers_of(tx, [run.id for run in runs])
        tx.run_many(_ADD_PARAM, texts_of(runs, numbers, "params"))
        tx.run_many(_PUT_TAG, texts_of(runs, numbers, "tags"))
        rows = Counted(experiment, numbers, points.key_ids(tx, {key for run in runs for key in run.keys}, {}))
        points.add(tx, rows.each(measured), rows.latest.values())  # the latest are known once all were given
        self._pack_ended(tx, runs, numbers)
        tx.run_many(_ADD_DATASET, [dataset_row(experiment, one) for run in runs for one in run.datasets])
        tx.run_many(_PUT_LINK, [row for run in runs for row in link_rows(run)])
        return rows.given

    def take_models_in(self, tx: Transaction, experiment: int, models: Sequence[WholeModel]) -> None:
        """Keep whole logged models of an experiment."""
        tx.run_many(_PUT_MODEL, [model_row(experiment, one) for one in models])
        for table in ("params", "tags"):
            rows = [
                {"model_id": one.id, "key": key, "value": value}
                for one in models
                for key, value in getattr(one, table).items()
            ]
            tx.run_many(_PUT_MODEL_TEXT.format(table), rows)
        tx.run_many(_ADD_MODEL_METRIC, [model_metric(one.id, *metric) for one in models for metric in one.metrics])

    def take_files_in(self, tx: Transaction, files: Iterable[tuple[str, str, str, int]]) -> None:
        """Keep artifacts, each as (owner, name, digest of its bytes, size); the same name again is replaced."""
        at = self._clock.text()
        tx.run_many(_PUT_ARTIFACT, [artifact_row(*one, at) for one in files])

    def take_tag_in(self, tx: Transaction, run_id: str, key: str, value: str) -> None:
        """Set a tag of a run that came in."""
        tx.run(_PUT_TAG, {"run": store.number_of(tx, run_id), "key": key, "value": value})

    def fits(self, kind: str, name: str) -> str:
        """Why nothing of that name can be kept; nothing when it can. `kind` is file, metric, param or tag."""
        try:
            if kind == "file":
                files.checked_path(name)
            else:
                checked_key(kind, name)
        except Invalid as error:
            return error.message
        return ""

    def _run_row(self, experiment: int, run: WholeRun, actor: str) -> dict[str, Any]:
        deleted = None if run.state != "deleted" else from_ms(run.deleted_ms) if run.deleted_ms else self._clock.text()
        return {
            "id": run.id,
            "experiment_id": experiment,
            "name": run.name,
            "status": run.status,
            "state": run.state,
            "deleted_at": deleted,
            "started_at": from_ms(run.started_ms),
            "ended_at": None if run.ended_ms is None else from_ms(run.ended_ms),
            "created_by": actor,
            "user_id": run.user_id,
        }

    def _pack_ended(self, tx: Transaction, runs: Sequence[WholeRun], numbers: Mapping[str, int]) -> None:
        for run in runs:
            if run.status in ENDED:
                for key in points.long_keys(tx, numbers[run.id]):
                    while points.pack(tx, numbers[run.id], key) >= points.BLOCK:
                        continue


class Counted:
    """Points on their way into the tables: rows with numbers for runs and keys, and the latest of each on the side."""

    def __init__(self, experiment: int, numbers: Mapping[str, int], keys: Mapping[str, int]) -> None:
        self._experiment = experiment
        self._numbers = numbers
        self._keys = keys
        self.latest: dict[tuple[int, int], dict[str, Any]] = {}
        self.given = 0

    def each(self, measured: Iterable[tuple[str, str, int, int, float]]) -> Iterator[dict[str, Any]]:
        """The rows of points, as many as are asked for at a time."""
        latest, keys, numbers = self.latest, self._keys, self._numbers
        for run_id, name, at_ms, step, value in measured:
            run, key = numbers[run_id], keys[name]
            row = {**row_of("", value, step, at_ms), "run": run, "key": key}
            self.given += 1
            best = latest.get((run, key))
            if best is None or order(row) >= order(best):
                latest[run, key] = {**row, "experiment_id": self._experiment}
            yield row


def numbers_of(tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
    """The numbers under which runs' rows are kept."""
    found: dict[str, int] = {}
    for part in store.parts(ids):
        marks, params = store.marked(part)
        rows = tx.rows(f"SELECT id, number FROM tracking_runs WHERE id IN ({marks})", params)
        found.update((row["id"], int(row["number"])) for row in rows)
    return found


def texts_of(runs: Sequence[WholeRun], numbers: Mapping[str, int], what: str) -> list[dict[str, Any]]:
    """Rows of params or tags."""
    return [
        {"run": numbers[run.id], "key": key, "value": value}
        for run in runs
        for key, value in getattr(run, what).items()
    ]


def dataset_row(experiment: int, one: Any) -> dict[str, Any]:
    """A dataset's row."""
    names = ("name", "digest", "source_type", "source", "schema", "profile")
    return {"experiment_id": experiment, **{name: getattr(one, name) for name in names}}


def link_rows(run: WholeRun) -> Iterator[dict[str, Any]]:
    """A run's inputs and outputs."""
    for one in run.datasets:
        yield link_row(run.id, "input", one.name, one.digest, "dataset", one.tags)
    for model_id in run.models_in:
        yield link_row(run.id, "input", model_id, model_id, "model", {})
    for model_id, step in run.models_out:
        yield link_row(run.id, "output", model_id, model_id, "model", {"step": step})


def link_row(run_id: str, direction: str, name: str, digest: str, kind: str, tags: Mapping[str, Any]) -> dict[str, Any]:
    """An input or output."""
    values = {"run_id": run_id, "direction": direction, "name": name, "digest": digest, "kind": kind}
    return {**values, "tags": store.json_text(tags)}


def model_row(experiment: int, one: WholeModel) -> dict[str, Any]:
    """A logged model's row."""
    names = ("id", "name", "type", "status", "status_message", "state", "source_run_id")
    times = {"created_at": from_ms(one.created_ms), "updated_at": from_ms(one.updated_ms)}
    return {"experiment_id": experiment, **{name: getattr(one, name) for name in names}, **times}


def model_metric(
    model_id: str, key: str, at_ms: int, step: int, value: float, run_id: str, name: str, digest: str
) -> dict[str, Any]:
    """A value measured of a logged model."""
    where = {"model_id": model_id, "run_id": run_id, "dataset_name": name, "dataset_digest": digest}
    return {**row_of(key, value, step, at_ms), **where}


def artifact_row(owner: str, name: str, digest: str, size: int, at: str) -> dict[str, Any]:
    """An artifact's row."""
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {"owner": owner, "name": name, "digest": digest, "size": size, "media_type": media_type, "created_at": at}

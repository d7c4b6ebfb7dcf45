"""A server that speaks MLflow's protocol, read through its REST API."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.usecases.imports import model
from loopline.usecases.imports.calling import Caller, part
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
from loopline.usecases.imports.sources.rows import DELETED, version_of

PAGE = 500
BULK_RUNS = 100
BULK_POINTS = 25_000
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
AJAX = "/ajax-api/2.0/mlflow"
DEEPEST = 64


class Server:
    """An MLflow server as a source; another Loopline is one too."""

    def __init__(self, address: str, work: Path | None = None) -> None:
        self._caller = Caller(address)
        self._work = work
        self._listed: dict[str, set[str] | None] = {}
        self.name = self._caller.name
        self._caller.check()
        try:
            self._folders = self._caller.says("/health") == "OK"  # MLflow's own server: a folder for each with files
        except LooplineError:
            self._folders = False

    def count(self) -> int | None:
        return None

    def experiments(self, report: Report) -> Iterator[Experiment]:
        body = {"max_results": 1000, "view_type": "ALL"}
        for one in self._pages("experiments/search", body, "experiments"):
            yield Experiment(
                id=one["experiment_id"],
                name=one["name"],
                state=one.get("lifecycle_stage") or "active",
                location=one.get("artifact_location") or "",
                created_ms=int(one.get("creation_time") or 0),
                updated_ms=int(one.get("last_update_time") or 0),
                tags=texts(one.get("tags")),
            )

    def runs(self, experiment: Experiment, report: Report) -> Iterator[list[Run]]:
        body = {"experiment_ids": [experiment.id], "run_view_type": "ALL", "max_results": PAGE}
        for page in model.portions(self._pages("runs/search", body, "runs"), PAGE):
            yield [run_of(one, experiment) for one in page]

    def points(self, runs: list[Run], report: Report) -> Iterable[Point]:
        keys: dict[str, list[str]] = {}
        for run in runs:
            for key in run.keys:
                keys.setdefault(key, []).append(run.id)
        asked = [(key, ids) for key, all_ids in keys.items() for ids in model.portions(all_ids, BULK_RUNS)]
        return [point for points in self._caller.each(self._history, asked) for point in points]

    def logged_models(self, experiment: Experiment, report: Report) -> Iterator[list[LoggedModel]]:
        body = {"experiment_ids": [experiment.id], "max_results": 50}
        try:
            for page in model.portions(self._pages("logged-models/search", body, "models"), 50):
                yield [logged(one) for one in page]
        except NotFound:
            return  # servers before 3.0 have none

    def registered(self, report: Report) -> Iterator[RegisteredModel]:
        for one in self._got("registered-models/search", [("max_results", 200)], "registered_models"):
            try:
                yield self._registered(one)
            except LooplineError as error:
                report.lose("registered model", one.get("name", ""), str(error))

    def files(self, owner: Run | LoggedModel, report: Report) -> Iterator[File]:
        uri = owner.artifact_uri if isinstance(owner, Run) else owner.location
        if not self._has_files(uri):
            return
        try:
            names = list(self._names(owner, uri, "", 0))
        except LooplineError as error:
            report.lose("artifacts", owner.id, str(error)[:300])
            return
        for name in names:
            try:
                yield self._fetched(owner, uri, name)
            except LooplineError as error:
                report.lose("artifact", f"{owner.id}/{name}", str(error)[:300])

    def close(self) -> None:
        self._caller.close()

    def _pages(self, path: str, body: Mapping[str, Any], what: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            found = self._caller.post(path, {**body, **({"page_token": token} if token else {})})
            yield from found.get(what) or ()
            token = found.get("next_page_token") or ""
            if not token:
                return

    def _got(self, path: str, query: list[tuple[str, Any]], what: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            found = self._caller.get(path, [*query, *([("page_token", token)] if token else [])])
            yield from found.get(what) or ()
            token = found.get("next_page_token") or ""
            if not token:
                return

    def _history(self, asked: tuple[str, list[str]]) -> list[Point]:
        key, ids = asked
        query = [*(("run_id", one) for one in ids), ("metric_key", key), ("max_results", BULK_POINTS)]
        try:
            rows = self._caller.get(f"{AJAX}/metrics/get-history-bulk", query).get("metrics") or []
        except (NotFound, Invalid):
            rows = [{}] * BULK_POINTS
        if len(rows) < BULK_POINTS:
            return [point(row["run_id"], row) for row in rows]
        return [point(one, row) for one in ids for row in self._whole_history(one, key)]

    def _whole_history(self, run_id: str, key: str) -> Iterator[dict[str, Any]]:
        query = [("run_id", run_id), ("metric_key", key), ("max_results", BULK_POINTS)]
        return self._got("metrics/get-history", query, "metrics")

    def _registered(self, one: Mapping[str, Any]) -> RegisteredModel:
        name = one["name"]
        quoted = name.replace("'", "\\'")
        query = [("filter", f"name='{quoted}'"), ("max_results", 1000)]
        versions = [row for row in self._got("model-versions/search", query, "model_versions") if row["name"] == name]
        whole = [
            {**row, "run_link": row.get("run_link", "")} for row in versions if row.get("current_stage") != DELETED
        ]
        found = [version_of(row, texts(row.get("tags"))) for row in whole]
        return RegisteredModel(
            name=name,
            last=max((version.number for version in found), default=0),
            description=one.get("description") or "",
            created_ms=int(one.get("creation_timestamp") or 0),
            updated_ms=int(one.get("last_updated_timestamp") or 0),
            tags=texts(one.get("tags")),
            aliases={row["alias"]: int(row["version"]) for row in one.get("aliases") or ()},
            versions=sorted(found, key=lambda version: version.number),
        )

    def _has_files(self, uri: str) -> bool:
        """False only when MLflow's proxy lists the folders of an experiment and this one's is not among them: many runs
        have no artifact, and one question tells of all."""
        folder = proxied(uri) if self._folders else None
        if folder is None:
            return True
        parent, _, owner = folder.removesuffix("/artifacts").rpartition("/")
        if parent not in self._listed:
            try:
                files = self._caller.get(PROXY, [("path", parent)]).get("files") or []
                self._listed[parent] = {row["path"].rpartition("/")[2] for row in files}
            except LooplineError:
                self._listed[parent] = None
        there = self._listed[parent]
        return there is None or owner in there

    def _names(self, owner: Run | LoggedModel, uri: str, folder: str, depth: int) -> Iterator[str]:
        for row in self._list(owner, uri, folder):
            name = f"{folder}/{row['path'].rpartition('/')[2]}".lstrip("/")
            if not row.get("is_dir"):
                yield name
            elif depth < DEEPEST:
                yield from self._names(owner, uri, name, depth + 1)

    def _list(self, owner: Run | LoggedModel, uri: str, folder: str) -> Iterable[dict[str, Any]]:
        root = proxied(uri)
        if root is not None:
            found = self._caller.get(PROXY, [("path", f"{root}/{folder}".rstrip("/"))])
            return found.get("files") or ()
        if isinstance(owner, Run):
            query = [("run_id", owner.id), *([("path", folder)] if folder else [])]
            return list(self._got("artifacts/list", query, "files"))
        query = [("artifact_directory_path", folder)] if folder else []
        return self._caller.get(f"logged-models/{part(owner.id)}/artifacts/directories", query).get("files") or ()

    def _fetched(self, owner: Run | LoggedModel, uri: str, name: str) -> File:
        handle, scratch = tempfile.mkstemp(prefix=".import-", dir=self._work)
        os.close(handle)
        target = Path(scratch)
        try:
            root = proxied(uri)
            if root is not None:
                self._caller.fetch(f"{PROXY}/{part(f'{root}/{name}')}", target)
            elif isinstance(owner, Run):
                self._caller.fetch("/get-artifact", target, [("run_uuid", owner.id), ("path", name)])
            else:
                path = f"{AJAX}/logged-models/{part(owner.id)}/artifacts/files"
                self._caller.fetch(path, target, [("artifact_file_path", name)])
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return File(name, target, ours=True)


def proxied(uri: str) -> str | None:
    """The path under the server's artifact proxy that an address means; None for any other address."""
    parts = urlsplit(uri)
    return unquote(parts.path).strip("/") if parts.scheme == "mlflow-artifacts" else None


def texts(rows: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Params or tags as they travel."""
    return {row["key"]: row.get("value") or "" for row in rows or ()}


def point(run_id: str, row: Mapping[str, Any]) -> Point:
    """A point as it travels."""
    return Point(run_id, row["key"], int(row.get("timestamp") or 0), int(row.get("step") or 0), float(row["value"]))


def run_of(one: Mapping[str, Any], experiment: Experiment) -> Run:
    """A run as it travels."""
    info, data = one["info"], one.get("data") or {}
    tags, latest = texts(data.get("tags")), sorted(data.get("metrics") or (), key=lambda row: str(row["key"]))
    inputs, outputs = one.get("inputs") or {}, one.get("outputs") or {}
    run = Run(
        id=info.get("run_id") or info["run_uuid"],
        experiment=experiment.id,
        name=info.get("run_name") or tags.get("mlflow.runName", ""),
        status=(info.get("status") or "RUNNING").lower(),
        state=info.get("lifecycle_stage") or "active",
        user_id=info.get("user_id") or "",
        started_ms=int(info.get("start_time") or 0),
        ended_ms=int(info["end_time"]) if info.get("end_time") else None,
        artifact_uri=info.get("artifact_uri") or "",
        params=texts(data.get("params")),
        tags=tags,
        datasets=[dataset(row) for row in inputs.get("dataset_inputs") or ()],
        models_in=[row["model_id"] for row in inputs.get("model_inputs") or ()],
        models_out=[(row["model_id"], int(row.get("step") or 0)) for row in outputs.get("model_outputs") or ()],
        keys=[row["key"] for row in latest],
        size=sum(int(row.get("step") or 0) + 1 if int(row.get("step") or 0) >= 0 else 1 for row in latest),
    )
    run.stamp = model.stamp_of(run, latest)
    return run


def dataset(row: Mapping[str, Any]) -> Dataset:
    """A dataset as an input, as it travels."""
    given = {
        key: row["dataset"].get(key) or "" for key in ("name", "digest", "source_type", "source", "schema", "profile")
    }
    return Dataset(**given, tags=texts(row.get("tags")))


def logged(one: Mapping[str, Any]) -> LoggedModel:
    """A logged model as it travels."""
    info, data = one["info"], one.get("data") or {}
    status = str(info.get("status") or "LOGGED_MODEL_READY").removeprefix("LOGGED_MODEL_").removesuffix("_FAILED")
    found = LoggedModel(
        id=info["model_id"],
        experiment=info["experiment_id"],
        name=info.get("name") or "",
        type=info.get("model_type") or "",
        status={"UPLOAD": "failed"}.get(status, status.lower()),
        status_message=info.get("status_message") or "",
        source_run_id=info.get("source_run_id") or "",
        location=info.get("artifact_uri") or "",
        created_ms=int(info.get("creation_timestamp_ms") or 0),
        updated_ms=int(info.get("last_updated_timestamp_ms") or 0),
        params=texts(data.get("params")),
        tags=texts(info.get("tags")),
        metrics=sorted((metric(row) for row in data.get("metrics") or ()), key=str),
    )
    found.stamp = model.stamp_of(found)
    return found


def metric(row: Mapping[str, Any]) -> ModelMetric:
    """A value of a logged model, as it travels."""
    where = (row.get(name) or "" for name in ("run_id", "dataset_name", "dataset_digest"))
    return ModelMetric(
        row["key"], int(row.get("timestamp") or 0), int(row.get("step") or 0), float(row["value"]), *where
    )

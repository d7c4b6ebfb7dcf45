"""An MLflow server, written to through its REST API. It gives out ids of its own: tags say which run and model each one
is here, and how it looked when it was written last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from loopline.core.errors import LooplineError, NotFound
from loopline.usecases.imports import model
from loopline.usecases.imports.calling import Caller, part
from loopline.usecases.imports.model import Experiment, Home, LoggedModel, RegisteredModel, Report, Run, Source, Version
from loopline.usecases.imports.sources.server import PROXY, proxied, texts
from loopline.usecases.imports.targets import MODEL_TAG, RUN_TAG, STAMP_TAG

MOST_METRICS, MOST_TEXTS = 900, 100
PAGE = 1000


class ToServer:
    """An MLflow server as a target; experiments of the same name are merged."""

    def __init__(self, address: str) -> None:
        self._caller = Caller(address)
        self.name = self._caller.name
        self._known: dict[str, tuple[str, str]] = {}
        self._known_models: dict[str, tuple[str, str]] = {}
        self._outputs: dict[str, list[dict[str, Any]]] = {}
        self._caller.check()

    def experiment(self, one: Experiment, report: Report) -> str:
        try:
            found = self._caller.get("experiments/get-by-name", [("experiment_name", one.name)])["experiment"]
            number = str(found["experiment_id"])
            if found.get("lifecycle_stage") == "deleted" and one.state == "active":
                self._caller.post("experiments/restore", {"experiment_id": number})
        except NotFound:
            tags = [{"key": key, "value": value} for key, value in one.tags.items()]
            number = str(self._caller.post("experiments/create", {"name": one.name, "tags": tags})["experiment_id"])
            report.experiments += 1
        self._learn(number)
        return number

    def runs(self, number: str, runs: list[Run], source: Source, report: Report) -> None:
        for run in runs:
            there, stamp = self._known.get(run.id, ("", ""))
            if stamp == run.stamp:
                report.runs_known += 1
                continue
            try:
                self._run(number, there, run, source, report)
            except LooplineError as error:
                report.lose("run", run.id, str(error)[:300])

    def models(self, number: str, models: list[LoggedModel], source: Source, report: Report) -> None:
        for one in models:
            there, stamp = self._known_models.get(one.id, ("", ""))
            if stamp == one.stamp:
                continue
            try:
                self._model(number, there, one, source, report)
            except LooplineError as error:
                report.lose("logged model", one.id, str(error)[:300])

    def registered(self, one: RegisteredModel, source: Home, report: Report) -> None:
        try:
            self._registered(one, source, report)
        except LooplineError as error:
            report.lose("registered model", one.name, str(error)[:300])

    def close(self) -> None:
        self._caller.close()

    def _learn(self, number: str) -> None:
        """Which runs and models of ours an experiment there holds already."""
        body: dict[str, Any] = {"experiment_ids": [number], "run_view_type": "ALL", "max_results": PAGE}
        for one in self._pages("runs/search", {**body, "filter": f"tags.`{RUN_TAG}` != ''"}, "runs"):
            tags = texts(one["data"].get("tags"))
            self._known[tags[RUN_TAG]] = (one["info"]["run_id"], tags.get(STAMP_TAG, ""))
        try:
            for one in self._pages("logged-models/search", {"experiment_ids": [number], "max_results": 50}, "models"):
                tags = texts(one["info"].get("tags"))
                if MODEL_TAG in tags:
                    self._known_models[tags[MODEL_TAG]] = (one["info"]["model_id"], tags.get(STAMP_TAG, ""))
        except NotFound:
            return  # servers before 3.0 have none

    def _pages(self, path: str, body: Mapping[str, Any], what: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            found = self._caller.post(path, {**body, **({"page_token": token} if token else {})})
            yield from found.get(what) or ()
            token = found.get("next_page_token") or ""
            if not token:
                return

    def _run(self, number: str, there: str, run: Run, source: Source, report: Report) -> None:
        fresh = not there
        if fresh:
            body = {
                "experiment_id": number,
                "run_name": run.name,
                "user_id": run.user_id,
                "start_time": run.started_ms,
                "tags": [{"key": RUN_TAG, "value": run.id}],
            }
            there = self._caller.post("runs/create", body)["run"]["info"]["run_id"]
            self._known[run.id] = (there, "")
        elif run.state == "active":
            self._restore(there)
        self._measured(there, run, source, report)
        self._inputs(there, run)
        info = self._caller.get("runs/get", [("run_id", there)])["run"]["info"]
        self._files(info.get("artifact_uri") or "", run, source, report)
        self._caller.post(
            "runs/update",
            {"run_id": there, "status": run.status.upper(), **({"end_time": run.ended_ms} if run.ended_ms else {})},
        )
        self._caller.post("runs/set-tag", {"run_id": there, "key": STAMP_TAG, "value": run.stamp})
        if run.state == "deleted":
            self._caller.post("runs/delete", {"run_id": there})
        self._known[run.id] = (there, run.stamp)
        report.runs += fresh
        report.runs_changed += not fresh

    def _restore(self, there: str) -> None:
        self._caller.post("runs/restore", {"run_id": there})

    def _measured(self, there: str, run: Run, source: Source, report: Report) -> None:
        params = [{"key": key, "value": value} for key, value in run.params.items()]
        tags = [{"key": key, "value": value} for key, value in run.tags.items()]
        points = (
            {"key": key, "timestamp": at_ms, "step": step, "value": worded(value)}
            for _, key, at_ms, step, value in source.points([run], report)
        )
        rows = model.portions(points, MOST_METRICS)
        heads: Iterator[tuple[list[Any], ...]] = zip_longest(
            model.portions(params, MOST_TEXTS), model.portions(tags, MOST_TEXTS), rows, fillvalue=[]
        )
        for some_params, some_tags, some in heads:
            # 100 + 100 + 900 would pass the limit of a thousand together
            if some_params or some_tags:
                body = {"run_id": there, "params": some_params, "tags": some_tags}
                self._caller.post("runs/log-batch", body)
            if some:
                self._caller.post("runs/log-batch", {"run_id": there, "metrics": some})
                report.points += len(some)

    def _inputs(self, there: str, run: Run) -> None:
        datasets = [
            {
                "dataset": {
                    name: getattr(one, name)
                    for name in ("name", "digest", "source_type", "source", "schema", "profile")
                },
                "tags": [{"key": key, "value": value} for key, value in one.tags.items()],
            }
            for one in run.datasets
        ]
        if datasets:
            self._caller.post("runs/log-inputs", {"run_id": there, "datasets": datasets})
        for model_id, step in run.models_out:
            self._outputs.setdefault(model_id, []).append({"run_id": there, "step": step})

    def _files(self, uri: str, owner: Run | LoggedModel, source: Source, report: Report) -> None:
        root = proxied(uri)
        for file in source.files(owner, report):
            if root is None:
                report.lose("artifact", f"{owner.id}/{file.name}", f"the server keeps files at {uri[:100]}, not here")
                continue
            self._caller.send(f"{PROXY}/{part(f'{root}/{file.name}')}", file.path)
            report.artifacts += 1
            report.artifact_bytes += file.path.stat().st_size

    def _model(self, number: str, there: str, one: LoggedModel, source: Source, report: Report) -> None:
        run_id = self._known.get(one.source_run_id, ("", ""))[0]
        tags = {**one.tags, MODEL_TAG: one.id}
        if not there:
            body = {
                "experiment_id": number,
                "name": one.name,
                "model_type": one.type,
                "source_run_id": run_id,
                "params": [{"key": key, "value": value} for key, value in one.params.items()][:MOST_TEXTS],
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
            }
            there = self._caller.post("logged-models", body)["model"]["info"]["model_id"]
            self._known_models[one.id] = (there, "")
        info = self._caller.get(f"logged-models/{part(there)}")["model"]["info"]
        self._files(info.get("artifact_uri") or "", one, source, report)
        status = {"ready": "LOGGED_MODEL_READY", "failed": "LOGGED_MODEL_UPLOAD_FAILED"}.get(one.status)
        if status:
            self._caller.post(f"logged-models/{part(there)}", {"model_id": there, "status": status}, "PATCH")
        for output in self._outputs.pop(one.id, ()):
            models = [{"model_id": there, "step": output["step"]}]
            self._caller.post("runs/outputs", {"run_id": output["run_id"], "models": models})
        metrics = [
            {"key": row.key, "timestamp": row.at_ms, "step": row.step, "value": worded(row.value), "model_id": there}
            | ({"dataset_name": row.dataset_name, "dataset_digest": row.dataset_digest} if row.dataset_name else {})
            for row in one.metrics
        ]
        for some in model.portions(metrics if run_id else [], MOST_METRICS):
            self._caller.post("runs/log-batch", {"run_id": run_id, "metrics": some})
        stamp = [{"key": STAMP_TAG, "value": one.stamp}]
        self._caller.post(f"logged-models/{part(there)}/tags", {"model_id": there, "tags": stamp}, "PATCH")
        self._known_models[one.id] = (there, one.stamp)
        report.logged_models += 1

    def _registered(self, one: RegisteredModel, source: Home, report: Report) -> None:
        try:
            found = self._caller.get("registered-models/get", [("name", one.name)])["registered_model"]
        except NotFound:
            tags = [{"key": key, "value": value} for key, value in one.tags.items()]
            body = {"name": one.name, "description": one.description, "tags": tags}
            found = self._caller.post("registered-models/create", body)["registered_model"]
            report.models += 1
        quoted = one.name.replace("'", "\\'")
        query = [("filter", f"name='{quoted}'"), ("max_results", PAGE)]
        rows = self._caller.get("model-versions/search", query).get("model_versions") or ()
        there = {int(row["version"]) for row in rows}
        for version in one.versions:
            if version.number not in there:
                self._version(one, version, source, report)
        aliases = {row["alias"]: int(row["version"]) for row in found.get("aliases") or ()}
        for alias, number in one.aliases.items():
            if aliases.get(alias) != number:
                body = {"name": one.name, "alias": alias, "version": str(number)}
                self._caller.post("registered-models/alias", body)
                report.aliases += 1

    def _version(self, one: RegisteredModel, version: Version, source: Home, report: Report) -> None:
        """A version under its own number: numbers that were deleted are given out and deleted there too."""
        run_id = self._known.get(version.run_id, ("", ""))[0]
        model_id = self._known_models.get(version.model_id, ("", ""))[0]
        uri = f"models:/{model_id}" if model_id else self._source(one, version, run_id, source, report)
        body = {
            "name": one.name,
            "source": uri,
            "run_id": run_id,
            "description": version.description,
            "tags": [{"key": key, "value": value} for key, value in version.tags.items()],
            **({"model_id": model_id} if model_id else {}),
        }
        while True:
            made = int(self._caller.post("model-versions/create", body)["model_version"]["version"])
            if made >= version.number:
                break
            self._caller.post("model-versions/delete", {"name": one.name, "version": str(made)}, "DELETE")
        if version.stage not in ("", "None"):
            moved = {"name": one.name, "version": str(made), "stage": version.stage, "archive_existing_versions": False}
            self._caller.post("model-versions/transition-stage", moved)
        if made != version.number:
            report.lose("version", f"{one.name}/{version.number}", f"it got the number {made} there")
        report.versions += 1

    def _source(self, one: RegisteredModel, version: Version, run_id: str, source: Home, report: Report) -> str:
        """The address there of a version's files: its run's, else those that are sent for it alone."""
        run, _, tail = version.source.removeprefix("runs:/").partition("/")
        if version.source.startswith("runs:/") and run_id and run == version.run_id:
            info = self._caller.get("runs/get", [("run_id", run_id)])["run"]["info"]
            return f"{info['artifact_uri']}/{tail}".rstrip("/")
        files = list(source.version_files(one.name, version.number, report))
        for file in files:
            self._caller.send(f"{PROXY}/{part(f'registered/{one.name}/{version.number}/{file.name}')}", file.path)
            report.artifacts += 1
            report.artifact_bytes += file.path.stat().st_size
        return f"mlflow-artifacts:/registered/{one.name}/{version.number}" if files else version.source


def worded(value: float) -> float | str:
    """A value as JSON carries it."""
    if value != value:
        return "NaN"
    return value if abs(value) != float("inf") else "Infinity" if value > 0 else "-Infinity"

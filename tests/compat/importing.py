"""Runs in MLflow's own environments: `make` fills the store at MLFLOW_TRACKING_URI with some of everything and tells what
the client sees there, `see` only tells. Both print JSON."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

MODERN = int(mlflow.__version__.partition(".")[0]) >= 3
OWN = {"mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit"}


def make(client: MlflowClient) -> None:
    number = client.create_experiment("flights", tags={"team": "air"})
    client.delete_experiment(client.create_experiment("gone"))
    first = client.create_run(number, start_time=1_700_000_000_000, run_name="first").info.run_id
    points = [Metric("auc", step / 10, 1_700_000_000_000 + step, step) for step in range(20)]
    odd = [Metric("odd/kind", value, 5, place - 1) for place, value in enumerate((math.nan, -1e-300, 3.0))]
    long = [Metric("long", math.sin(step), 1_700_000_000_000 + step, step) for step in range(900)]
    client.log_batch(first, [*points, *odd], [Param("rate", "0.1"), Param("note", "ü / 1")], [RunTag("a b", "x\ny")])
    client.log_batch(first, long)
    client.log_batch(
        first, [Metric("long", math.cos(step), 1_700_000_000_900 + step, 900 + step) for step in range(900)]
    )
    batch = Dataset("batch", "4f2a", "local", '{"uri": "x"}', '{"columns": []}', "{}")
    client.log_inputs(first, [DatasetInput(batch, [InputTag("mlflow.data.context", "training")])])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model").mkdir()
        (Path(folder) / "model" / "MLmodel").write_text("flavors: {}\nmodel_uuid: 1\n")
        (Path(folder) / "model" / "model.pkl").write_bytes(b"\x80\x04N.")
        (Path(folder) / "größe & mehr.bin").write_bytes(bytes(range(256)) * 5000)
        client.log_artifacts(first, folder)
    client.set_terminated(first, "FINISHED", end_time=1_700_000_100_000)
    child = client.create_run(number, start_time=1_700_000_000_500, tags={"mlflow.parentRunId": first}).info.run_id
    client.set_terminated(child, "FAILED", end_time=1_700_000_000_900)
    client.delete_run(client.create_run("0", run_name="deleted").info.run_id)
    client.create_registered_model("late", tags={"owner": "ada"}, description="how late")
    source = f"{client.get_run(first).info.artifact_uri}/model"
    for _ in range(3):
        client.create_model_version("late", source, first, tags={"k": "v"}, description="from a run")
    client.delete_model_version("late", "2")
    client.set_registered_model_alias("late", "champion", "3")
    client.transition_model_version_stage("late", "1", "Staging")
    if MODERN:
        logged_model(client, number, first)


def logged_model(client: MlflowClient, number: str, run_id: str) -> None:
    from mlflow.entities import LoggedModelOutput

    made = client.create_logged_model(number, name="net", source_run_id=run_id, params={"n": "1"}, tags={"t": "2"})
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "MLmodel").write_text("flavors: {}\n")
        client.log_model_artifacts(made.model_id, folder)
    client.finalize_logged_model(made.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 7)])
    client.log_metric(run_id, "rmse", 0.5, timestamp=9, step=7, model_id=made.model_id)


def see(client: MlflowClient) -> dict[str, Any]:
    found: dict[str, Any] = {"experiments": {}, "runs": {}, "models": {}}
    for one in client.search_experiments(view_type=3):
        found["experiments"][one.name] = [one.lifecycle_stage, one.tags]
        for run in client.search_runs([one.experiment_id], run_view_type=3):
            found["runs"][run.info.run_id] = [one.name, *run_seen(client, run)]
        if MODERN:
            for model in client.search_logged_models([one.experiment_id]):
                found.setdefault("logged models", {})[model.model_id] = model_seen(client, model)
    for model in client.search_registered_models():
        versions = client.search_model_versions(f"name='{model.name}'")
        found["models"][model.name] = [
            model.tags,
            model.description,
            {alias: int(number) for alias, number in model.aliases.items()},
            {int(one.version): version_seen(client, one) for one in versions},
        ]
    return found


def run_seen(client: MlflowClient, run: Any) -> list[Any]:
    info, data = run.info, run.data
    history = {
        key: [[one.timestamp, one.step, repr(one.value)] for one in client.get_metric_history(info.run_id, key)]
        for key in data.metrics
    }
    inputs = [
        [one.dataset.to_dictionary(), {tag.key: tag.value for tag in one.tags}] for one in run.inputs.dataset_inputs
    ]
    outputs = [[one.model_id, one.step] for one in run.outputs.model_outputs] if MODERN and run.outputs else []
    times = [info.start_time, info.end_time]
    return [
        [info.run_name, info.status, info.lifecycle_stage, *times],
        data.params,
        data.tags,
        {key: sorted(rows) for key, rows in history.items()},
        {key: repr(value) for key, value in data.metrics.items()},
        inputs,
        outputs,
        files_seen(client, info.run_id, None) if info.lifecycle_stage == "active" else {},
    ]


def files_seen(client: MlflowClient, run_id: str, folder: str | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in client.list_artifacts(run_id, folder):
        found |= files_seen(client, run_id, one.path) if one.is_dir else {one.path: one.file_size}
    return found


def model_seen(client: MlflowClient, model: Any) -> list[Any]:
    metrics = [[one.key, one.value, one.step, one.timestamp, one.run_id] for one in model.metrics or ()]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=folder))
        files = {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}
    files.pop("registered_model_meta", None)
    texts = [model.params, {key: value for key, value in model.tags.items() if key not in OWN}]
    return [model.name, str(model.status), model.source_run_id, *texts, metrics, files]


def version_seen(client: MlflowClient, version: Any) -> list[Any]:
    told = [version.status, version.current_stage, version.description, version.tags, version.run_id]
    uri = client.get_model_version_download_uri(version.name, version.version)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
        files = {str(path.relative_to(place)): path.stat().st_size for path in place.rglob("*") if path.is_file()}
    files.pop("registered_model_meta", None)
    return [*told, files]


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(MlflowClient())
    print(json.dumps(see(MlflowClient())))

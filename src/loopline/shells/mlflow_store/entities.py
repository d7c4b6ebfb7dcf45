"""From the protocol's plain data to MLflow's entities, for what is read often; no protobuf message is made."""

from __future__ import annotations

import inspect
from typing import Any

from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag

from loopline.shells.mlflow_store.places import here

_OLD = "run_uuid" in inspect.signature(RunInfo.__init__).parameters
_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def run(found: dict[str, Any]) -> Any:
    """A run with its data, inputs and outputs."""
    data = found.get("data") or {}
    kept = RunData(
        metrics=[metric(one) for one in data.get("metrics") or ()],
        params=[Param(one["key"], one.get("value", "")) for one in data.get("params") or ()],
        tags=[RunTag(one["key"], one.get("value", "")) for one in data.get("tags") or ()],
    )
    return Run(info(found["info"]), kept, *beside(found))


def info(found: dict[str, Any]) -> Any:
    """What a run is."""
    end = int(found.get("end_time") or 0)
    known = {
        "run_id": found["run_id"],
        "run_name": found.get("run_name", ""),
        "experiment_id": found["experiment_id"],
        "user_id": found.get("user_id", ""),
        "status": found["status"],
        "start_time": int(found.get("start_time") or 0),
        "end_time": end or None,
        "lifecycle_stage": found["lifecycle_stage"],
        "artifact_uri": here(found.get("artifact_uri", "")),
    }
    return RunInfo(**known, **({"run_uuid": found["run_id"]} if _OLD else {}))


def metric(found: dict[str, Any]) -> Any:
    """A point of a metric."""
    value = found.get("value", 0.0)
    number = _WORDS[value] if isinstance(value, str) else float(value)
    made = Metric(found["key"], number, int(found.get("timestamp") or 0), int(found.get("step") or 0))
    for name in ("model_id", "dataset_name", "dataset_digest", "run_id"):
        if found.get(name) and hasattr(made, f"_{name}"):
            setattr(made, f"_{name}", found[name])
    return made


def beside(found: dict[str, Any]) -> list[Any]:
    """Inputs and outputs, where this MLflow knows them; few runs have many, so MLflow's own reader serves."""
    from mlflow.protos import service_pb2
    from mlflow.utils.proto_json_utils import parse_dict

    made = []
    for name, kind in (("inputs", "RunInputs"), ("outputs", "RunOutputs")):
        message, entity = getattr(service_pb2, kind, None), entity_named(kind)
        if message is None or entity is None:
            break
        filled = message()
        if found.get(name):
            parse_dict(js_dict=found[name], message=filled)
        made.append(entity.from_proto(filled))
    return made


def entity_named(name: str) -> Any:
    """An entity of MLflow's, None where this version has none of the name."""
    import mlflow.entities

    return getattr(mlflow.entities, name, None)

"""Runs as the protocol tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from loopline.core.times import to_ms
from loopline.ports.database import Row
from loopline.usecases.tracking.model import plain
from loopline.usecases.tracking.processes import is_dead
from loopline.usecases.tracking.records_store import Recorded
from loopline.usecases.tracking.wire_mlflow.messages import Values

OWN_DATASET = "loopline"


def run(one: Recorded) -> Values:
    """A run with params, tags, latest metrics, inputs and outputs; empty lists are left out, as protobuf does."""
    data = {
        "metrics": [metric(row) for row in one.metrics],
        "params": [said(row) for row in one.params],
        "tags": [said(row) for row in one.tags],
    }
    inputs = [row for row in one.links if row["direction"] == "input"]
    outputs = [row for row in one.links if row["direction"] == "output"]
    taken = {
        "dataset_inputs": datasets(inputs),
        "model_inputs": [{"model_id": row["digest"]} for row in models(inputs)],
    }
    made = {"model_outputs": [made_at(row) for row in models(outputs)]}
    return {"info": info(one.run), "data": filled(data), "inputs": filled(taken), "outputs": filled(made)}


def info(row: Row) -> Values:
    """A run without what belongs to it."""
    lost = row["status"] == "running" and is_dead(row["process"])
    experiment = row["experiment_id"]
    found = {
        "run_uuid": row["id"],
        "experiment_id": str(experiment),
        "run_name": row["name"],
        "user_id": row["user_id"] or row["created_by"],
        "status": "KILLED" if lost else row["status"].upper(),
        "start_time": to_ms(row["started_at"]),
        "artifact_uri": row["artifact_root"] or f"mlflow-artifacts:/{experiment}/{row['id']}/artifacts",
        "lifecycle_stage": "deleted" if row["state"] == "deleted" else "active",
        "run_id": row["id"],
    }
    return found | ({"end_time": to_ms(row["ended_at"])} if row["ended_at"] else {})


def metric(row: Row) -> Values:
    """The latest point of a metric."""
    value = plain(row["value"], row["is_nan"])
    return {"key": row["key"], "value": value, "timestamp": row["at_ms"], "step": row["step"]}


def said(row: Row) -> Values:
    """A param or tag."""
    return {"key": row["key"], "value": row["value"]}


def datasets(rows: Iterable[Row]) -> list[Values]:
    """Datasets that went into a run; those told by Loopline's own client have no more than name and digest."""
    found = []
    for row in rows:
        if row["kind"] != "dataset":
            continue
        more = {name: row[name] for name in ("schema", "profile") if row[name]}
        told = {"name": row["name"], "digest": row["digest"], "source_type": OWN_DATASET, "source": "{}"}
        if row["source_type"] is not None:
            told |= {"source_type": row["source_type"], "source": row["source"]}
        tags = [{"key": key, "value": str(value)} for key, value in msgspec.json.decode(row["tags"]).items()]
        found.append(filled({"tags": tags}) | {"dataset": told | more})
    return found


def models(rows: Iterable[Row]) -> list[Row]:
    """The logged models among what went into a run or came out of it."""
    return [row for row in rows if row["kind"] == "model" and row["digest"].startswith("m-")]


def made_at(row: Row) -> Values:
    """A logged model that came out of a run."""
    return {"model_id": row["digest"], "step": msgspec.json.decode(row["tags"]).get("step", 0)}


def filled(values: Mapping[str, Any]) -> Values:
    """Those that hold something."""
    return {name: value for name, value in values.items() if value}

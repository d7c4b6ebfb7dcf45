"""MLflow's rows as values. Columns differ from one schema to the next: what is not there has its default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from loopline.usecases.imports import model
from loopline.usecases.imports.model import (
    Dataset,
    File,
    LoggedModel,
    ModelMetric,
    RegisteredModel,
    Report,
    Run,
    Version,
)
from loopline.usecases.imports.sources.places import Places

DELETED = "Deleted_Internal"
Row = Mapping[str, Any]


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

"""MLflow's file store (an `mlruns` folder), written as files. A run's meta.yaml comes last, so that it marks a whole one."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import Unavailable
from loopline.usecases.imports import model
from loopline.usecases.imports.model import (
    Experiment,
    File,
    Home,
    LoggedModel,
    RegisteredModel,
    Report,
    Run,
    Source,
    Version,
)
from loopline.usecases.imports.sources.folder import META, MODELS, TRASH, folders_in, yaml_in
from loopline.usecases.imports.targets import RUN_TAG, STAMP_TAG

STATUS_NUMBERS = {word: number for number, word in model.STATUSES.items()}
MODEL_NUMBERS = {"pending": 1, "ready": 2, "failed": 3}


class ToFolder:
    """An `mlruns` folder as a target; experiments of the same name are merged."""

    def __init__(self, root: Path) -> None:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{root} cannot be made ({error.strerror}).", "Name another folder.") from None
        self._root = root.resolve()
        self.name = f"file://{self._root}"
        self._places: dict[str, Path] = {}
        self._names = {str(meta.get("name")): place for place, meta in self._there()}

    def experiment(self, one: Experiment, report: Report) -> str:
        place = self._names.get(one.name)
        if place is None:
            taken = (self._root / one.id).exists() or (self._root / TRASH / one.id).exists()
            number = str(int(hashlib.sha256(one.name.encode()).hexdigest()[:15], 16)) if taken else one.id
            place = (self._root / TRASH if one.state == "deleted" else self._root) / number
            meta = {
                "artifact_location": f"file://{self._root / number}",
                "creation_time": one.created_ms,
                "experiment_id": number,
                "last_update_time": one.updated_ms,
                "lifecycle_stage": one.state,
                "name": one.name,
            }
            put_texts(place / "tags", one.tags, report, one.name)
            put_yaml(place / META, meta)
            self._names[one.name] = place
            report.experiments += 1
        self._places[place.name] = place
        return place.name

    def runs(self, number: str, runs: list[Run], source: Source, report: Report) -> None:
        for run in runs:
            self._run(self._places[number], run, source, report)

    def models(self, number: str, models: list[LoggedModel], source: Source, report: Report) -> None:
        experiment = self._places[number]
        for one in models:
            place = experiment / MODELS / one.id
            put_texts(place / "params", one.params, report, one.id)
            put_texts(place / "tags", one.tags, report, one.id)
            lines: dict[str, list[str]] = {}
            for row in one.metrics:
                more = f" {row.dataset_name} {row.dataset_digest}" if row.dataset_name else ""
                lines.setdefault(row.key, []).append(f"{row.at_ms} {row.value!r} {row.step} {row.run_id}{more}\n")
            put_texts(place / "metrics", {key: "".join(rows) for key, rows in lines.items()}, report, one.id)
            put_files(place / "artifacts", source.files(one, report), report)
            meta: dict[str, Any] = {
                "artifact_location": f"file://{self._root}/{number}/{MODELS}/{one.id}/artifacts",
                "creation_timestamp": one.created_ms,
                "experiment_id": number,
                "last_updated_timestamp": one.updated_ms,
                "model_id": one.id,
                "model_type": one.type or None,
                "name": one.name,
                "source_run_id": one.source_run_id or None,
                "status": MODEL_NUMBERS.get(one.status, 2),
                "status_message": one.status_message or None,
            }
            report.logged_models += put_yaml(place / META, meta)

    def registered(self, one: RegisteredModel, source: Home, report: Report) -> None:
        place = self._root / MODELS / one.name
        put_texts(place / "tags", one.tags, report, one.name)
        put_texts(place / "aliases", {alias: str(number) for alias, number in one.aliases.items()}, report, one.name)
        for version in one.versions:
            folder = place / f"version-{version.number}"
            source_uri = self._source(one.name, version, folder, source, report)
            put_texts(folder / "tags", version.tags, report, f"{one.name}/{version.number}")
            meta: dict[str, Any] = {
                "aliases": sorted(alias for alias, number in one.aliases.items() if number == version.number),
                "creation_timestamp": version.created_ms,
                "current_stage": version.stage,
                "description": version.description or None,
                "last_updated_timestamp": version.updated_ms,
                "name": one.name,
                "run_id": version.run_id or None,
                "run_link": version.run_link or None,
                "source": source_uri,
                "status": version.status,
                "status_message": version.status_message or None,
                "storage_location": source_uri,
                "user_id": version.user_id or None,
                "version": version.number,
            }
            report.versions += put_yaml(folder / META, meta)
        whole: dict[str, Any] = {
            "creation_timestamp": one.created_ms,
            "description": one.description or None,
            "last_updated_timestamp": one.updated_ms,
            "name": one.name,
        }
        report.models += put_yaml(place / META, whole)

    def close(self) -> None:
        return None

    def _run(self, experiment: Path, run: Run, source: Source, report: Report) -> None:
        place = experiment / run.id
        told = place / "tags" / STAMP_TAG
        if (place / META).is_file() and told.is_file() and told.read_text() == run.stamp:
            report.runs_known += 1
            return
        fresh = not place.exists()
        put_texts(place / "params", run.params, report, run.id)
        put_texts(place / "tags", {**run.tags, RUN_TAG: run.id}, report, run.id)
        report.points += put_points(place / "metrics", run, source, report)
        self._inputs(experiment, place, run)
        put_files(place / "artifacts", source.files(run, report), report)
        put_yaml(place / META, run_meta(run, experiment.name, f"file://{place}/artifacts"))
        put_texts(place / "tags", {STAMP_TAG: run.stamp}, report, run.id)
        report.runs += fresh
        report.runs_changed += not fresh

    def _inputs(self, experiment: Path, place: Path, run: Run) -> None:
        for one in run.datasets:
            number = md5(one.name, one.digest)
            names = ("name", "digest", "source_type", "source", "schema", "profile")
            put_yaml(experiment / "datasets" / number / META, {name: getattr(one, name) for name in names})
            put_yaml(place / "inputs" / md5(number, run.id) / META, edge("DATASET", "RUN", number, one.tags))
        for model_id in run.models_in:
            put_yaml(place / "inputs" / md5(model_id, run.id) / META, edge("MODEL", "RUN", model_id, {}))
        for model_id, step in run.models_out:
            made = {**edge("RUN_OUTPUT", "MODEL_OUTPUT", model_id, {}), "step": step}
            put_yaml(place / "outputs" / model_id / META, made)

    def _there(self) -> Iterable[tuple[Path, dict[str, Any]]]:
        for parent in (self._root, self._root / TRASH):
            for place in folders_in(parent):
                if place.name not in (TRASH, MODELS) and (place / META).is_file():
                    yield place, yaml_in(place / META)

    def _source(self, name: str, version: Version, folder: Path, source: Home, report: Report) -> str:
        """Where a version's files lie: with its run or logged model, else in a folder of its own."""
        if version.source.startswith(("runs:/", "models:/")):
            return version.source
        files = list(source.version_files(name, version.number, report))
        if not files:
            return version.source
        put_files(folder / "artifacts", files, report)
        return f"file://{folder}/artifacts"


def run_meta(run: Run, number: str, artifacts: str) -> dict[str, Any]:
    """A run's meta.yaml."""
    meta: dict[str, Any] = {
        "artifact_uri": artifacts,
        "end_time": run.ended_ms,
        "entry_point_name": "",
        "experiment_id": number,
        "lifecycle_stage": run.state,
        "run_id": run.id,
        "run_name": run.name,
        "run_uuid": run.id,
        "source_name": "",
        "source_type": 4,
        "source_version": "",
        "start_time": run.started_ms,
        "status": STATUS_NUMBERS[run.status],
        "tags": [],
        "user_id": run.user_id,
    }
    return {**meta, "deleted_time": run.deleted_ms} if run.state == "deleted" else meta


def edge(kind: str, where: str, source: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """An input or output as the file store tells it."""
    return {
        "destination_id": source,
        "destination_type": where,
        "source_id": source,
        "source_type": kind,
        "tags": dict(tags),
    }


def md5(*texts: str) -> str:
    """The file store's name for a pair of ids."""
    return hashlib.md5("".join(texts).encode(), usedforsecurity=False).hexdigest()


def put_points(folder: Path, run: Run, source: Source, report: Report) -> int:
    """A file for each metric: time, value and step; answers how many points."""
    lines: dict[str, list[str]] = {}
    for _, key, at_ms, step, value in source.points([run], report):
        lines.setdefault(key, []).append(f"{at_ms} {value!r} {step}\n")
    put_texts(folder, {key: "".join(rows) for key, rows in lines.items()}, report, run.id)
    folder.mkdir(parents=True, exist_ok=True)
    return sum(map(len, lines.values()))


def put_texts(folder: Path, texts: Mapping[str, str], report: Report, owner: str) -> None:
    """A file for each text; a name with slashes lies in folders. What the file system cannot hold is noted."""
    for key, text in texts.items():
        if not key or posixpath.normpath(key) != key or key.startswith(("/", "..")):
            report.lose("text", f"{owner}/{key[:80]}", "its name cannot be a file's")
            continue
        try:
            put(folder / key, text.encode())
        except OSError as error:
            report.lose("text", f"{owner}/{key[:80]}", f"{error.strerror}: a file of its name cannot be made")


def put_files(folder: Path, files: Iterable[File], report: Report) -> None:
    """Copies of artifacts; those that are there with the same size stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / file.name
        size = file.path.stat().st_size
        if not target.is_file() or target.stat().st_size != size:
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = target.with_name(f".{target.name[:100]}.tmp")
            shutil.copyfile(file.path, scratch)
            os.replace(scratch, target)
            report.artifacts += 1
            report.artifact_bytes += size


def put_yaml(path: Path, data: Mapping[str, Any]) -> bool:
    """Write a YAML file; False when it was there just so."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(dict(data), Dumper=dumper, default_flow_style=False, allow_unicode=True)
    return put(path, text.encode())


def put(path: Path, content: bytes) -> bool:
    """Write a file at once or not at all; False when it held just that."""
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name[:100]}.tmp")
    scratch.write_bytes(content)
    os.replace(scratch, path)
    return True

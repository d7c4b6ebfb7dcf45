"""MLflow's file store (an `mlruns` folder, of 1.x to 3.x), read as files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from loopline.core.errors import Invalid
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
from loopline.usecases.imports.sources.places import Places, walked
from loopline.usecases.imports.sources.rows import DELETED, version_of

T = TypeVar("T")
PORTION = 500
META = "meta.yaml"
ALIAS = re.compile(rb"[\s\[{,:]\*\w")
TRASH = ".trash"
MODELS = "models"
NOT_RUNS = {"tags", "datasets", "traces", MODELS}


class Folder:
    """An `mlruns` folder as a source. Artifacts are looked for beside each run first, as folders get moved."""

    def __init__(self, root: Path, roots: list[Path]) -> None:
        self._root = root.resolve()
        self._places = Places([self._root, *roots])
        self.name = f"file://{self._root}"
        self._raw: dict[str, dict[str, bytes]] = {}
        if not any(self._experiment_folders()) and not (self._root / MODELS).is_dir():
            raise Invalid(f"{root} is no mlruns folder.", "Name the folder that holds one folder per experiment.")

    def count(self) -> int | None:
        return sum(1 for folder in self._experiment_folders() for _ in run_folders(folder))

    def experiments(self, report: Report) -> Iterator[Experiment]:
        for folder in folders_in(self._root):
            if not (folder / META).is_file() and folder.name not in (TRASH, MODELS) and any(run_folders(folder)):
                report.lose("experiment", folder.name, f"it has no {META}")
        yield from readable(report, "experiment", self._experiment_folders(), experiment_in)

    def runs(self, experiment: Experiment, report: Report) -> Iterator[list[Run]]:
        folder = self._folder_of(experiment.id)
        datasets = {one.name: one for one in folders_in(folder / "datasets")}
        for place in folders_in(folder):
            if place.name not in NOT_RUNS and not (place / META).is_file():
                report.lose("run", place.name, f"it has no {META}")
        for portion in model.portions(run_folders(folder), PORTION):
            self._raw.clear()
            yield list(readable(report, "run", portion, lambda place: self._run(place, datasets)))

    def points(self, runs: list[Run], report: Report) -> Iterable[Point]:
        for run in runs:
            for key, content in self._raw[run.id].items():
                try:
                    yield from points_in(run.id, key, content)
                except ValueError:
                    report.lose("metric", f"{run.id}/{key}", "its file is damaged")

    def logged_models(self, experiment: Experiment, report: Report) -> Iterator[list[LoggedModel]]:
        places = [place for place in folders_in(self._folder_of(experiment.id) / MODELS) if (place / META).is_file()]
        for portion in model.portions(places, PORTION):
            yield list(readable(report, "logged model", portion, lambda place: logged(place, experiment)))

    def registered(self, report: Report) -> Iterator[RegisteredModel]:
        places = (place for place in folders_in(self._root / MODELS) if (place / META).is_file())
        yield from readable(report, "registered model", places, registered)

    def files(self, owner: Run | LoggedModel, report: Report) -> Iterator[File]:
        from loopline.usecases.imports.sources.rows import files_of

        tail = f"{'' if isinstance(owner, Run) else 'models/'}{owner.id}/artifacts"
        beside = self._folder_of(owner.experiment) / tail
        if beside.is_dir():
            yield from self._places.files(beside, owner.id, report)
        else:
            yield from files_of(self._places, owner, report)

    def close(self) -> None:
        self._raw.clear()

    def _experiment_folders(self) -> Iterator[Path]:
        for parent in (self._root, self._root / TRASH):
            for folder in folders_in(parent):
                if folder.name not in (TRASH, MODELS) and (folder / META).is_file():
                    yield folder

    def _folder_of(self, number: str) -> Path:
        name = os.path.basename(number)
        return self._root / name if (self._root / name).is_dir() else self._root / TRASH / name

    def _run(self, place: Path, datasets: dict[str, Path]) -> Run:
        meta = yaml_in(place / META)
        params, tags = texts_in(place / "params"), texts_in(place / "tags")
        raw = bytes_in(place / "metrics")
        run_id = str(meta.get("run_id") or meta.get("run_uuid") or place.name)
        self._raw[run_id] = raw
        run = Run(
            id=run_id,
            experiment=place.parent.name,
            name=str(meta.get("run_name") or tags.get("mlflow.runName") or ""),
            status=model.STATUSES.get(meta.get("status") or 1, "running"),
            state=meta.get("lifecycle_stage") or "active",
            user_id=str(meta.get("user_id") or ""),
            started_ms=int(meta.get("start_time") or 0),
            ended_ms=None if meta.get("end_time") is None else int(meta["end_time"]),
            deleted_ms=int(meta.get("deleted_time") or 0) or None,
            artifact_uri=meta.get("artifact_uri") or "",
            params=params,
            tags=tags,
            keys=list(raw),
            size=sum(content.count(b"\n") for content in raw.values()),
        )
        for edge in (yaml_in(folder / META) for folder in folders_in(place / "inputs")):
            if edge.get("source_type") == "DATASET" and edge["source_id"] in datasets:
                run.datasets.append(dataset(datasets[edge["source_id"]], edge.get("tags") or {}))
            elif edge.get("source_type") == "MODEL":
                run.models_in.append(str(edge["source_id"]))
        for edge in (yaml_in(folder / META) for folder in folders_in(place / "outputs")):
            run.models_out.append((str(edge["destination_id"]), int(edge.get("step") or 0)))
        run.stamp = model.stamp_of(run, raw)
        return run


def readable(report: Report, kind: str, places: Iterable[Path], read: Callable[[Path], T]) -> Iterator[T]:
    """What `read` makes of each place; what is damaged is noted and left out."""
    for place in places:
        try:
            yield read(place)
        except (Invalid, KeyError, TypeError, ValueError, OSError) as error:
            report.lose(kind, place.name, f"its files are damaged ({type(error).__name__}: {error})"[:300])


def experiment_in(folder: Path) -> Experiment:
    """An experiment's folder."""
    meta = yaml_in(folder / META)
    deleted = folder.parent.name == TRASH
    return Experiment(
        id=folder.name,
        name=str(meta.get("name") or folder.name),
        state="deleted" if deleted else meta.get("lifecycle_stage") or "active",
        location=meta.get("artifact_location") or "",
        created_ms=int(meta.get("creation_time") or 0),
        updated_ms=int(meta.get("last_update_time") or 0),
        tags=texts_in(folder / "tags"),
    )


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder by name; none when it is missing."""
    try:
        with os.scandir(folder) as entries:
            return [
                Path(name) for name in sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
            ]
    except OSError:
        return []


def run_folders(experiment: Path) -> Iterator[Path]:
    """The folders of an experiment's runs."""
    return (place for place in folders_in(experiment) if place.name not in NOT_RUNS and (place / META).is_file())


def yaml_in(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; Invalid when it is none."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = path.read_bytes()
        if ALIAS.search(content) and any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(content, loader)):
            raise Invalid(f"{path} refers to itself.", "Mend it or move it away.")  # a small file of a huge text
        found = yaml.load(content, loader)  # noqa: S506  (a safe loader, in C where there is one)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read ({str(error).splitlines()[0]}).", "Mend it or move it away.") from None
    if not isinstance(found, dict):
        raise Invalid(f"{path} holds no mapping.", "Mend it or move it away.")
    return found


def bytes_in(folder: Path) -> dict[str, bytes]:
    """The files below a folder by name (a key with slashes lies in folders); links are not followed, pipes not read."""
    return {name: path.read_bytes() for name, path in walked(folder, "", 0) if path.is_file() and not path.is_symlink()}


def texts_in(folder: Path) -> dict[str, str]:
    """The texts in the files below a folder."""
    return {name: content.decode(errors="replace") for name, content in bytes_in(folder).items()}


def points_in(run_id: str, key: str, content: bytes) -> Iterator[Point]:
    """The points in a metric's file: time, value and step, with what they were measured on after it."""
    for line in content.splitlines():
        parts = line.split(b" ")
        if len(parts) > 1:
            yield Point(run_id, key, int(parts[0]), int(parts[2]) if len(parts) > 2 else 0, float(parts[1]))


def dataset(folder: Path, tags: dict[str, str]) -> Dataset:
    """A dataset's folder as an input."""
    meta = yaml_in(folder / META)
    given = {key: str(meta.get(key) or "") for key in ("name", "digest", "source_type", "source", "schema", "profile")}
    return Dataset(**given, tags=tags)


def logged(folder: Path, experiment: Experiment) -> LoggedModel:
    """A logged model's folder."""
    meta = yaml_in(folder / META)
    found = LoggedModel(
        id=str(meta.get("model_id") or folder.name),
        experiment=experiment.id,
        name=str(meta.get("name") or ""),
        type=meta.get("model_type") or "",
        status=model.MODEL_STATUSES.get(meta.get("status") or 0, "ready"),
        status_message=meta.get("status_message") or "",
        state=meta.get("lifecycle_stage") or "active",
        source_run_id=meta.get("source_run_id") or "",
        location=meta.get("artifact_location") or "",
        created_ms=meta.get("creation_timestamp") or 0,
        updated_ms=meta.get("last_updated_timestamp") or 0,
        params=texts_in(folder / "params"),
        tags=texts_in(folder / "tags"),
        metrics=[one for key, raw in bytes_in(folder / "metrics").items() for one in model_points(key, raw)],
    )
    found.stamp = model.stamp_of(found)
    return found


def model_points(key: str, content: bytes) -> Iterator[ModelMetric]:
    """The points in a metric's file of a logged model: time, value, step, run and dataset."""
    for line in content.decode(errors="replace").splitlines():
        parts = line.split(" ")
        if len(parts) > 3:
            more = parts[4:6] if len(parts) > 5 else ["", ""]
            yield ModelMetric(key, int(parts[0]), int(parts[2]), float(parts[1]), parts[3], *more)


def registered(folder: Path) -> RegisteredModel:
    """A registered model's folder with its versions."""
    meta = yaml_in(folder / META)
    versions = [place for place in folders_in(folder) if place.name.startswith("version-") and (place / META).is_file()]
    told = [(yaml_in(place / META), place) for place in versions]
    aliases = texts_in(folder / "aliases")
    return RegisteredModel(
        name=str(meta.get("name") or folder.name),
        last=max((int(one["version"]) for one, _ in told), default=0),
        description=meta.get("description") or "",
        created_ms=meta.get("creation_timestamp") or 0,
        updated_ms=meta.get("last_updated_timestamp") or 0,
        tags=texts_in(folder / "tags"),
        aliases={alias: int(number) for alias, number in aliases.items() if number.strip().isdigit()},
        versions=sorted(
            (version_of(one, texts_in(place / "tags")) for one, place in told if one.get("current_stage") != DELETED),
            key=lambda one: one.number,
        ),
    )

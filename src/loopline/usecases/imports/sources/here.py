"""This installation as a source, for what goes out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from loopline.core.times import to_ms
from loopline.ports.blobs import Blobs
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
    Version,
)
from loopline.usecases.imports.needs import Registry, Tracking

PORTION = 200
_OF_RUN = re.compile(r"(?:runs:/|mlflow-artifacts:/.*/)([0-9a-f]{32})(?:/artifacts)?(?:/(.*))?\Z", re.S)


class Here:
    """Runs, logged models and registered models of this installation. `experiment` and `chosen` (ids of runs) narrow
    it; `registered_as` names the one registered model that is wanted."""

    def __init__(
        self,
        tracking: Tracking,
        registry: Registry,
        blobs: Blobs,
        name: str,
        experiment: str = "",
        chosen: frozenset[str] | None = None,
        registered_as: str = "",
    ) -> None:
        self.name = name
        self._tracking = tracking
        self._registry = registry
        self._blobs = blobs
        self._experiment = experiment
        self._chosen = chosen
        self._registered_as = registered_as

    def count(self) -> int | None:
        return None if self._chosen is None else len(self._chosen)

    def experiments(self, report: Report) -> Iterator[Experiment]:
        for one in self._tracking.given_experiments():
            if self._experiment in ("", one.name):
                yield Experiment(
                    id=str(one.id),
                    name=one.name,
                    state=one.state,
                    location=one.location,
                    created_ms=to_ms(one.created_at),
                    updated_ms=to_ms(one.updated_at),
                    tags=one.tags,
                )

    def runs(self, experiment: Experiment, report: Report) -> Iterator[list[Run]]:
        after = 0
        while found := self._tracking.given_runs(int(experiment.id), after, PORTION):
            after = found[-1].number
            yield [run_of(one) for one in found if self._chosen is None or one.run.id in self._chosen]

    def points(self, runs: list[Run], report: Report) -> Iterable[Point]:
        for run in runs:
            for point in self._tracking.given_points(run.id):
                yield Point(run.id, *point)

    def logged_models(self, experiment: Experiment, report: Report) -> Iterator[list[LoggedModel]]:
        found = (logged(one) for one in self._tracking.given_models(int(experiment.id)))
        wanted = (one for one in found if self._chosen is None or one.source_run_id in self._chosen)
        yield from model.portions(wanted, PORTION)

    def registered(self, report: Report) -> Iterator[RegisteredModel]:
        """Registered models: one that was named, else all unless only some runs were asked for."""
        narrowed = bool(self._experiment) or self._chosen is not None
        for one in self._registry.models():
            if one.name == self._registered_as or not (self._registered_as or narrowed):
                versions = [version_of(found) for found in self._registry.versions(one.name)]
                yield RegisteredModel(
                    name=one.name,
                    last=one.latest,
                    description=one.description,
                    created_ms=to_ms(one.created_at),
                    updated_ms=to_ms(one.updated_at or one.created_at),
                    tags=one.tags,
                    aliases=one.aliases,
                    versions=versions,
                )

    def version_files(self, name: str, number: int, report: Report) -> Iterator[File]:
        """The files of a version that came from no run's or logged model's files."""
        for file, digest in self._registry.files_of(name, number).items():
            try:
                yield File(file, self._blobs.path(digest))
            except model.LOST as error:
                report.lose("artifact", f"{name}/{number}/{file}", str(error))

    def files(self, owner: Run | LoggedModel, report: Report) -> Iterator[File]:
        for one in self._tracking.files(owner.id):
            try:
                yield File(one.name, self._blobs.path(one.digest))
            except model.LOST as error:
                report.lose("artifact", f"{owner.id}/{one.name}", str(error))

    def close(self) -> None:
        return None


def run_of(one: Any) -> Run:
    """A run as it is kept here."""
    run = one.run
    found = Run(
        id=run.id,
        experiment=str(run.experiment_id),
        name=run.name,
        status=run.status,
        state="deleted" if run.state == "deleted" else "active",
        user_id=run.user_id or run.created_by,
        started_ms=to_ms(run.started_at),
        ended_ms=None if run.ended_at is None else to_ms(run.ended_at),
        deleted_ms=None if one.deleted_at is None else to_ms(one.deleted_at),
        params=run.params,
        tags=run.tags,
        datasets=[Dataset(**row) for row in one.datasets],
        models_in=[link.digest for link in run.links if (link.direction, link.kind) == ("input", "model")],
        models_out=[
            (link.digest, int(link.tags.get("step", 0)))
            for link in run.links
            if (link.direction, link.kind) == ("output", "model") and link.digest.startswith("m-")
        ],
        keys=sorted(run.metrics),
        size=len(run.metrics),
    )
    found.stamp = model.stamp_of(found, run.metrics)
    return found


def logged(one: Any) -> LoggedModel:
    """A logged model as it is kept here."""
    found = LoggedModel(
        id=one.id,
        experiment=str(one.experiment_id),
        name=one.name,
        type=one.type,
        status=one.status,
        status_message=one.status_message,
        state=one.state,
        source_run_id=one.source_run_id,
        created_ms=to_ms(one.created_at),
        updated_ms=to_ms(one.updated_at),
        params=one.params,
        tags=one.tags,
        metrics=[metric(row) for row in one.metrics],
    )
    found.stamp = model.stamp_of(found)
    return found


def version_of(one: Any) -> Version:
    """A version as it is kept here. Its source is empty when it has only files of its own."""
    found = _OF_RUN.match(one.source)
    source = one.source if one.model_id or found is None else f"runs:/{found[1]}/{found[2] or ''}"
    return Version(
        number=one.version,
        source=source,
        run_id=one.run_id,
        model_id=one.model_id,
        stage=one.stage,
        status=one.status.upper(),
        status_message=one.status_message,
        description=one.description,
        user_id=one.user_id,
        run_link=one.run_link,
        created_ms=to_ms(one.created_at),
        updated_ms=to_ms(one.updated_at or one.created_at),
        tags=one.tags,
    )


def metric(row: Any) -> ModelMetric:
    """A value of a logged model as it is kept here."""
    where = (row.run_id, row.dataset_name, row.dataset_digest)
    return ModelMetric(row.key, row.at_ms, row.step, float(row.value), *where)

"""What comes in from another system, as all kinds of sources tell it: frozen values and rules that need no storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from loopline.core.errors import NotFound, Unavailable

IMPORTED = "runs.imported"
MODELS_IMPORTED = "models.imported"
EXPERIMENT_IMPORTED = "experiment.imported"
FINISHED = "import.finished"
MOST_LOSSES = 1_000
LOST = (NotFound, Unavailable)
STATUSES = {1: "running", 2: "scheduled", 3: "finished", 4: "failed", 5: "killed"}
MODEL_STATUSES = {0: "ready", 1: "pending", 2: "ready", 3: "failed"}


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment of the source; times are milliseconds since 1970 UTC."""

    id: str
    name: str
    state: str = "active"
    location: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = {}


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that went into a run; `tags` belong to that use of it."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] = {}


class Run(msgspec.Struct, kw_only=True):
    """A run without its points. `keys` are the names of its metrics, `size` about how many points they have; `stamp`
    differs whenever anything about the run does."""

    id: str
    experiment: str
    name: str
    status: str = "running"
    state: str = "active"
    user_id: str = ""
    started_ms: int = 0
    ended_ms: int | None = None
    deleted_ms: int | None = None
    artifact_uri: str = ""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    datasets: list[Dataset] = []
    models_in: list[str] = []
    models_out: list[tuple[str, int]] = []
    keys: list[str] = []
    size: int = 0
    stamp: str = ""


class Point(NamedTuple):
    """One value of a metric of a run; NaN stands for itself."""

    run_id: str
    key: str
    at_ms: int
    step: int
    value: float


class ModelMetric(NamedTuple):
    """One value that was measured of a logged model."""

    key: str
    at_ms: int
    step: int
    value: float
    run_id: str
    dataset_name: str
    dataset_digest: str


class LoggedModel(msgspec.Struct, kw_only=True):
    """A model that a run logged, apart from the registry."""

    id: str
    experiment: str
    name: str
    type: str = ""
    status: str = "ready"
    status_message: str = ""
    state: str = "active"
    source_run_id: str = ""
    location: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[ModelMetric] = []
    stamp: str = ""


class Version(msgspec.Struct, kw_only=True):
    """A version of a registered model; `stage` is MLflow's word for where it stands."""

    number: int
    source: str = ""
    storage: str = ""
    run_id: str = ""
    model_id: str = ""
    stage: str = "None"
    status: str = "READY"
    status_message: str = ""
    description: str = ""
    user_id: str = ""
    run_link: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = {}


class RegisteredModel(msgspec.Struct, kw_only=True):
    """A registered model with all its versions and where its aliases point; `last` is the highest number ever given."""

    name: str
    last: int = 0
    description: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = {}
    aliases: dict[str, int] = {}
    versions: list[Version] = []


class File(NamedTuple):
    """An artifact's file on this machine; with `ours` it was fetched and may be moved away."""

    name: str
    path: Path
    ours: bool = False


class Loss(msgspec.Struct, frozen=True):
    """Something that could not come in, and why."""

    kind: str
    name: str
    reason: str


class Report(msgspec.Struct, kw_only=True):
    """What an import or export did. `losses` names the first thousand of `lost` things."""

    source: str
    dry_run: bool = False
    seconds: float = 0.0
    experiments: int = 0
    runs: int = 0
    runs_changed: int = 0
    runs_known: int = 0
    points: int = 0
    artifacts: int = 0
    artifact_bytes: int = 0
    logged_models: int = 0
    models: int = 0
    versions: int = 0
    aliases: int = 0
    lost: int = 0
    losses: list[Loss] = []

    def lose(self, kind: str, name: str, reason: str) -> None:
        """Note something that could not come in."""
        self.lost += 1
        if len(self.losses) < MOST_LOSSES:
            self.losses.append(Loss(kind, name, reason))

    def changed(self) -> bool:
        """Whether anything came in."""
        return any(
            (
                self.experiments,
                self.runs,
                self.runs_changed,
                self.logged_models,
                self.models,
                self.versions,
                self.aliases,
            )
        )


class Source(Protocol):
    """Where things come from. Times are milliseconds since 1970 UTC; ids are the source's own. What cannot be read is
    noted in the report and left out."""

    name: str

    def count(self) -> int | None:
        """How many runs there are, None when that would be dear to know."""

    def experiments(self, report: Report) -> Iterator[Experiment]:
        """All experiments, deleted ones too."""

    def runs(self, experiment: Experiment, report: Report) -> Iterator[list[Run]]:
        """All runs of an experiment, deleted ones too, in portions."""

    def points(self, runs: list[Run], report: Report) -> Iterable[Point]:
        """All points of some runs of the portion that came last."""

    def logged_models(self, experiment: Experiment, report: Report) -> Iterator[list[LoggedModel]]:
        """All logged models of an experiment, in portions."""

    def registered(self, report: Report) -> Iterator[RegisteredModel]:
        """All registered models."""

    def files(self, owner: Run | LoggedModel, report: Report) -> Iterator[File]:
        """The artifacts of a run or logged model."""

    def close(self) -> None:
        """Let go of files and connections."""


class Home(Source, Protocol):
    """A source that is an installation of ours."""

    def version_files(self, name: str, number: int, report: Report) -> Iterator[File]:
        """The files of a version of a registered model."""


def stamp_of(*parts: Any) -> str:
    """What differs when any part does."""
    from blake3 import blake3

    return blake3(msgspec.json.encode(parts, order="sorted")).hexdigest()


def portions(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Items in lists of at most `size`."""
    portion: list[Any] = []
    for item in items:
        portion.append(item)
        if len(portion) >= size:
            yield portion
            portion = []
    if portion:
        yield portion

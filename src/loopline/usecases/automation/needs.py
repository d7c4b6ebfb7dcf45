"""What automation asks of other use-cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from loopline.core.facts import Fact
from loopline.ports.database import Transaction


class Ledger(Protocol):
    """Where causes are read and firings told."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...
    def since(self, seq: int, limit: int = 1000, kind: str = "") -> list[Fact]: ...


class Project(Protocol):
    """An applied project: what its loopline.yaml says, and the digest of its files."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def code_digest(self) -> str: ...


class Projects(Protocol):
    """Who knows what was applied."""

    def projects(self) -> Sequence[Project]: ...

    def materialize_code(self, digest: str, folder: Path) -> Path:
        """Write the project's files as they were applied into `folder`; answers it."""


class Datasets(Protocol):
    """Takes snapshots of what the sources hold now."""

    def snapshot(self, name: str, actor: str) -> Any: ...
    def latest(self, name: str) -> Any: ...


class PipelineRun(Protocol):
    """A pipeline run that has ended."""

    @property
    def run_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def version(self) -> int | None: ...


class Pipelines(Protocol):
    """Runs the pipelines of a project's folder."""

    def run(
        self,
        project_folder: Path,
        pipeline_name: str,
        params: Mapping[str, Any],
        *,
        actor: str,
        project: str,
        registers: str,
        file: str,
        tags: Mapping[str, str],
    ) -> PipelineRun: ...


class Gate(Protocol):
    """A gate as it was decided; `verdict.value` is passed, failed or not_run."""

    @property
    def id(self) -> str: ...
    @property
    def verdict(self) -> Any: ...


class Candidate(Protocol):
    """How far a version has come on its way to an alias."""

    @property
    def gate(self) -> Any: ...
    @property
    def missing(self) -> str: ...
    @property
    def promoted(self) -> bool: ...


class Promotion(Protocol):
    """Judges versions and moves aliases."""

    def gate(self, model: str, version: int, alias: str, actor: str) -> Any: ...
    def standing(self, model: str, version: int, alias: str) -> Any: ...
    def promote(self, model: str, version: int, alias: str, actor: str) -> Any: ...

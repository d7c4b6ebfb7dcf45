"""What releases ask of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from loopline.core.facts import Fact
from loopline.ports.database import Transaction


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...
    def about(self, subject: str, kinds: tuple[str, ...] = ()) -> list[Fact]: ...


class Signer(Protocol):
    """The installation's key."""

    def sign(self, content: bytes) -> str: ...
    def verify(self, content: bytes, signature: str) -> bool: ...
    def public_key(self) -> str: ...


class Environment(Protocol):
    """An environment with its secrets as they are now: which dataset stands for each that a pipeline names, the
    defaults of parameters, the steps' variables."""

    @property
    def name(self) -> str: ...
    @property
    def datasets(self) -> Mapping[str, str]: ...
    @property
    def variables(self) -> Mapping[str, str]: ...
    def params_of(self, pipeline: str) -> Mapping[str, Any]: ...


class Project(Protocol):
    """A project as it was applied."""

    @property
    def config(self) -> Mapping[str, Any]: ...


class Projects(Protocol):
    """What project folders declare. `sources` answers the configuration and the files by name, `contracts` the
    contracts by dataset; `environments` says what is declared, without secrets. NotFound for an environment that is
    not declared, or a project that was never applied."""

    def project(self, name: str) -> Project: ...
    def environments(self, project: str) -> Sequence[Mapping[str, Any]]: ...

    def sources(self, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]: ...
    def contracts(self, folder: Path, config: Mapping[str, Any], python: str = "") -> dict[str, Any]: ...
    def environment(self, project: str, name: str = "", live: bool = True) -> Environment: ...


class Automation(Protocol):
    """Who holds releases while an alert is open."""

    def held(self, name: str) -> str:
        """Why nothing of a model may be released just now, or ""."""


class Snapshot(Protocol):
    """One immutable state of a dataset."""

    @property
    def digest(self) -> str: ...


class Report(Protocol):
    """What checking a contract found."""

    @property
    def ok(self) -> bool: ...
    @property
    def rows(self) -> int: ...
    def text(self) -> str: ...


class Datasets(Protocol):
    """Where data comes from. `keeps` checks a snapshot's batches by a contract given as plain data."""

    def latest(self, name: str) -> Snapshot: ...
    def snapshot(self, name: str, actor: str, variables: Mapping[str, str] | None = None) -> Any: ...
    def keeps(self, digest: str, contract: Mapping[str, Any]) -> Report: ...


class Pipelines(Protocol):
    """Where pipelines are traced and run."""

    def plan(
        self,
        project_folder: str | Path,
        pipeline_name: str,
        params: Mapping[str, Any] | None = None,
        *,
        file: str = "pipeline.py",
        executor: str = "processes",
        python: str = "",
    ) -> Any: ...
    def run(
        self,
        project_folder: str | Path,
        pipeline_name: str,
        params: Mapping[str, Any] | None = None,
        *,
        actor: str,
        progress: Callable[[Any], None] | None = None,
        file: str = "pipeline.py",
        project: str = "",
        registers: str = "",
        executor: str = "processes",
        tags: Mapping[str, str] | None = None,
        python: str = "",
        release: str = "",
        environment: str = "",
        bindings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Any: ...

"""What automation asks of other use-cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from loopline.core.facts import Fact
from loopline.ports.database import Transaction


class Ledger(Protocol):
    """Where causes are read and firings told."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...
    def since(self, seq: int, limit: int = 1000, kind: str = "") -> list[Fact]: ...
    def about(self, subject: str, kinds: Sequence[str] = ()) -> list[Fact]: ...


class Project(Protocol):
    """An applied project: what its loopline.yaml says, and the digest of its files."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def code_digest(self) -> str: ...
    @property
    def folder(self) -> str: ...


class Environment(Protocol):
    """Where a release runs; "" is the name of the unnamed one."""

    @property
    def name(self) -> str: ...


class Projects(Protocol):
    """Who knows what was applied."""

    def projects(self) -> Sequence[Project]: ...

    def environment(self, project: str, name: str = "") -> Environment:
        """The environment of that name; without a name the project's default."""

    def starting(self) -> Starting:
        """What starts what in all applied projects."""


class Starting(Protocol):
    """What starts what, as declared: nodes (id, kind, name, project) and edges (source, target, label)."""

    @property
    def nodes(self) -> Sequence[Any]: ...
    @property
    def edges(self) -> Sequence[Any]: ...


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


class Release(Protocol):
    """A sealed pipeline."""

    @property
    def digest(self) -> str: ...


class Releases(Protocol):
    """Runs what was released: takes in what is new in its datasets first; which model a run registers is sealed."""

    def standing(self, project: str, pipeline: str, environment: str) -> Release | None:
        """What was promoted into an environment last, or None."""

    def run(
        self,
        ref: str,
        *,
        environment: str = "",
        params: Mapping[str, Any] | None = None,
        actor: str,
        tags: Mapping[str, str] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> PipelineRun: ...


class Run(Protocol):
    """A run as tracking knows it."""

    @property
    def tags(self) -> Mapping[str, str]: ...


class Tracking(Protocol):
    """Knows for which firing a run was made."""

    def get(self, run_id: str) -> Run: ...


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
    def rollback(self, model: str, alias: str, actor: str, reason: str = "") -> int: ...


class Serving(Protocol):
    """Endpoints and what answers there. NotFound for what does not exist."""

    def endpoint(self, name: str) -> Any:
        """An endpoint: model, alias (or None), live (the revision that answers, or None), traffic (shared out, or None)."""

    def revision(self, name: str, number: int) -> Any:
        """A revision: model, version, revision."""

    def rollback(self, name: str, actor: str) -> Any:
        """Go back; answers the revision. Conflict when there is nothing to go back to."""


class Messages(Protocol):
    """Who tells people."""

    def tell(self, alert: str, channels: Sequence[str]) -> None:
        """Have channels ("project/name") told of an alert, once each."""

"""What pipelines ask of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from loopline.core.tables import Signature
from loopline.ports.database import Transaction

if TYPE_CHECKING:
    import pyarrow as pa


class Snapshot(Protocol):
    """One immutable state of a dataset."""

    @property
    def digest(self) -> str: ...
    @property
    def name(self) -> str: ...


class Datasets(Protocol):
    """Where data comes from."""

    def latest(self, name: str) -> Snapshot: ...
    def table(self, digest: str) -> pa.Table: ...


class Tracking(Protocol):
    """Where runs are kept."""

    def start_in(
        self,
        tx: Transaction,
        run_id: str,
        name: str,
        experiment: str,
        kind: str,
        actor: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        surroundings: Mapping[str, Any] | None = None,
        process: str = "",
        started_at: str = "",
    ) -> None: ...
    def finish_in(
        self, tx: Transaction, run_id: str, status: str, actor: str, *, error: str = "", ended_at: str = ""
    ) -> None: ...
    def note_in(
        self, tx: Transaction, run_id: str, metrics: Mapping[str, float], links: list[tuple[str, str, str, str]]
    ) -> None: ...
    def here(self, folder: Any, stamp: str) -> tuple[str, dict[str, Any]]: ...
    def sweep(self, actor: str = "loopline") -> list[str]: ...
    def resolved(self, run_id: str) -> str: ...
    def get(self, run_id: str) -> Any: ...


class Environments(Protocol):
    """Where what a lock pins is installed."""

    def python_for(self, lock: bytes) -> str:
        """The interpreter of the environment that a lock describes, built when it is not there yet; "" is this one.
        Invalid for what is no lock, Unavailable when it cannot be built."""


class RegisteredVersion(Protocol):
    """A version as the registry answers it."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...


class Registry(Protocol):
    """Where models are registered; asked twice for the same run and model it answers the same version."""

    def register(
        self,
        name: str,
        manifest_digest: str,
        run_id: str,
        metrics: Mapping[str, float] | None,
        signature: Signature | None,
        evaluation_digest: str | None,
        profile_digest: str | None,
        metadata: Mapping[str, Any] | None,
        actor: str,
    ) -> RegisteredVersion: ...

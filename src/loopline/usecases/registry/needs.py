"""What the registry asks of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from loopline.core.facts import Fact
from loopline.core.tables import Signature
from loopline.ports.database import Transaction

if TYPE_CHECKING:
    import pyarrow as pa


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...


class File(Protocol):
    """A file kept with a run or a logged model."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...


class Place(Protocol):
    """Whose files an address means: an owner and a folder of his ("" for all)."""

    @property
    def owner(self) -> str: ...
    @property
    def name(self) -> str: ...


class Metric(Protocol):
    """A point measured of a model; `value` is a word when it is no number."""

    @property
    def key(self) -> str: ...
    @property
    def value(self) -> float | str: ...


class LoggedModel(Protocol):
    """A model as a run left it."""

    @property
    def source_run_id(self) -> str: ...
    @property
    def metrics(self) -> Sequence[Metric]: ...


class Run(Protocol):
    """A run with its tags and the latest value of each of its metrics."""

    @property
    def metrics(self) -> Mapping[str, float | str]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


class Tracking(Protocol):
    """Runs, logged models and their files. NotFound for what does not exist."""

    def get(self, run_id: str) -> Run: ...
    def logged_model(self, model_id: str) -> LoggedModel: ...
    def files(self, owner: str, folder: str = "") -> Sequence[File]: ...
    def file(self, owner: str, name: str) -> File: ...
    def address(self, uri: str) -> Place | None: ...
    def root_of(self, run_id: str) -> str: ...
    def model_root(self, model_id: str) -> str: ...
    def share_in(self, tx: Transaction, digest: str, files: Mapping[str, str]) -> None: ...
    def unshare_in(self, tx: Transaction, digest: str) -> None: ...
    def model_tags_in(self, tx: Transaction, model_id: str) -> Mapping[str, str]: ...
    def tag_model_in(self, tx: Transaction, model_id: str, tags: Mapping[str, str]) -> None: ...


class Projects(Protocol):
    """Who knows which aliases a gate guards (its rules, or None), and what else loopline.yaml says."""

    def gate(self, model_name: str, alias: str) -> Mapping[str, Any] | None: ...
    def projects(self) -> Sequence[Any]: ...


class Endpoint(Protocol):
    """An address that serves a model; `live` and `wanted` are numbers of its revisions."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def live(self) -> int | None: ...
    @property
    def wanted(self) -> int | None: ...


class Revision(Protocol):
    """A deployment of a version."""

    @property
    def revision(self) -> int: ...
    @property
    def version(self) -> int: ...


class Serving(Protocol):
    """What is deployed."""

    def endpoints(self) -> Sequence[Endpoint]: ...
    def revisions(self, name: str) -> Sequence[Revision]: ...


class Promotion(Protocol):
    """Gates, newest first, and what was measured of versions side by side."""

    def gates(self, model: str = "", limit: int = 50) -> Sequence[Any]: ...
    def measured(self, model: str, version: int) -> Any: ...


class Datasets(Protocol):
    """Snapshots by their digest. NotFound."""

    def get(self, digest: str, name: str = "") -> Any: ...


class Monitoring(Protocol):
    """What is watched; and training profiles (JSON): of a table (Invalid where it is not that of the signature), or of Arrow
    bytes (then None)."""

    def summaries(self) -> Sequence[Any]: ...
    def profile(self, table: pa.Table, signature: Signature, event_time: str = "") -> bytes: ...
    def profiled(self, content: bytes, signature: Signature, datasets: Sequence[str] = ()) -> bytes | None: ...
    def profiler(self, model: str, version: int) -> Any: ...


class Automation(Protocol):
    """Policies, each with what became of it."""

    def policies(self) -> Sequence[Any]: ...

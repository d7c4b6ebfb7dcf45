"""What monitoring asks of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from loopline.core.facts import Fact
from loopline.core.tables import Signature
from loopline.ports.database import Transaction

if TYPE_CHECKING:
    import pyarrow as pa


class Version(Protocol):
    """A registered version: its signature, and metrics among which a monitor finds its baseline."""

    @property
    def signature(self) -> Signature: ...
    @property
    def metrics(self) -> Mapping[str, Any]: ...


class Registry(Protocol):
    """Registered versions and their training profiles. NotFound for what does not exist."""

    def version(self, name: str, number: int) -> Version: ...
    def profile(self, name: str, version: int) -> bytes | None: ...


class Endpoint(Protocol):
    """An address that serves a model."""

    @property
    def name(self) -> str: ...


class Serving(Protocol):
    """The logs. Columns of predictions: id, endpoint, revision, model, version, at, event_time, key, the inputs,
    prediction, latency_us; of truth: prediction_id, key, event_time, value, observed_at, received_at, seq."""

    def endpoints(self) -> Sequence[Endpoint]: ...
    def read_predictions(
        self, endpoint: str, since: str | None = None, until: str | None = None, by: str = "at"
    ) -> pa.Table:
        """Those with since <= `by` < until, where `by` is "at" or "event_time"."""

    def read_truth(self, endpoint: str) -> pa.Table: ...


class Project(Protocol):
    """A project as last applied: `config` is what its `loopline.yaml` says."""

    @property
    def config(self) -> Mapping[str, Any]: ...


class Projects(Protocol):
    """Who knows the rules written in `loopline.yaml`."""

    def monitor(self, endpoint: str) -> Mapping[str, Any] | None: ...
    def channels(self) -> Sequence[Mapping[str, Any]]: ...
    def projects(self) -> Sequence[Project]: ...


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...

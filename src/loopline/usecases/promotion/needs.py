"""What promotion asks of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from loopline.core.facts import Fact
from loopline.core.tables import Signature
from loopline.ports.database import Transaction
from loopline.ports.runtime import LoadedModel

if TYPE_CHECKING:
    import pyarrow as pa


class Version(Protocol):
    """A registered version. `metadata` may say `trained_until` (ISO 8601) and `label` (column of the held-out rows)."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def created_by(self) -> str: ...
    @property
    def signature(self) -> Signature: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...
    @property
    def evaluation_digest(self) -> str | None: ...
    @property
    def aliases(self) -> Sequence[str]: ...


class Named(Protocol):
    """A registered model."""

    @property
    def name(self) -> str: ...


class Move(Protocol):
    """One move of an alias, to nothing where the version is None."""

    @property
    def version(self) -> int | None: ...


class Registry(Protocol):
    """Versions and aliases. NotFound for what does not exist."""

    def models(self) -> Sequence[Named]: ...
    def version(self, name: str, number: int) -> Version: ...
    def alias(self, name: str, alias: str) -> int | None: ...
    def alias_history(self, name: str, alias: str) -> Sequence[Move]: ...
    def load(self, name: str, version: int) -> LoadedModel: ...
    def evaluation(self, name: str, version: int) -> pa.Table: ...
    def point(self, name: str, alias: str, version: int, actor: str, reason: str) -> object: ...
    def freeze_card(self, name: str, version: int, actor: str) -> object: ...


class Projects(Protocol):
    """Who knows the rules written in `loopline.yaml`."""

    def gate(self, model: str, alias: str) -> Mapping[str, Any] | None: ...


class Automation(Protocol):
    """Who holds releases while an alert is open."""

    def held(self, name: str) -> str:
        """Why nothing of a model may be promoted just now, or ""."""


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...

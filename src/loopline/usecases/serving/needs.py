"""What serving asks of other use-cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from loopline.core.facts import Fact
from loopline.core.tables import Signature
from loopline.core.verbs import Caller
from loopline.ports.database import Transaction
from loopline.ports.runtime import LoadedModel

if TYPE_CHECKING:
    import pyarrow as pa


class Facts(Protocol):
    """The ledger."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...


class Version(Protocol):
    """A registered model version."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def signature(self) -> Signature: ...
    @property
    def format(self) -> str: ...
    @property
    def servable(self) -> bool: ...


class Profiler(Protocol):
    """Counts rows, batch by batch."""

    def add(self, rows: pa.Table) -> None:
        """A table of inputs, `prediction` and `latency_us`. Invalid for columns of another type."""

    def finish(self) -> bytes:
        """Their profile, as JSON."""


class Versions(Protocol):
    """The registry."""

    def version(self, name: str, number: int) -> Version: ...

    def find(self, reference: str) -> Version:
        """The version that `model/3`, `model@alias` or `model` names."""

    def alias(self, name: str, alias: str) -> int | None: ...

    def load(self, name: str, version: int, engine: str = "") -> LoadedModel:
        """The model in memory; `engine` "many" is what is quickest for many rows at once. Refused for a format that is
        never loaded."""

    def engine(self, name: str, version: int) -> object | None:
        """What was chosen to run a version on a machine like this, or None."""

    def compilable(self, name: str, version: int) -> bool:
        """Whether engines may be tried for a version."""

    def evaluation(self, name: str, version: int) -> pa.Table:
        """Held-out rows with the inputs; NotFound when there are none."""

    def profiler(self, name: str, version: int) -> Profiler:
        """Profiles rows in a way that can be compared with the training profile."""


class Rule(Protocol):
    """What a contract says of one column: bounds are inclusive, `allowed` lists the values (empty: any)."""

    @property
    def name(self) -> str: ...
    @property
    def minimum(self) -> int | float | str | None: ...
    @property
    def maximum(self) -> int | float | str | None: ...
    @property
    def allowed(self) -> tuple[Any, ...]: ...


class Contract(Protocol):
    """What a dataset's batches must be."""

    @property
    def columns(self) -> Sequence[Rule]: ...


class Described(Protocol):
    """A dataset."""

    @property
    def contract(self) -> Contract | None: ...


class Datasets(Protocol):
    """The datasets, for what their contracts say."""

    def dataset(self, name: str) -> Described:
        """What is declared under that name, or NotFound."""


class Tokens(Protocol):
    """Who presents a bearer token."""

    def verify(self, secret: str) -> Caller | None:
        """The caller, or None for a token that is unknown or revoked."""

    def borrower(self, secret: str) -> Caller | None:
        """In whose name a lent secret asks, or None."""

    def lend(self, name: str) -> str | None:
        """A secret with which to ask as the token `name` for a minute; None when there is no such token."""

    def sign_out(self, secret: str) -> None:
        """End what was lent."""

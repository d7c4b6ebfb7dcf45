"""What monitoring asks of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from loopline.core.facts import Fact
from loopline.core.tables import Signature
from loopline.ports.database import Transaction

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


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


class LogUnit(Protocol):
    """A day (2013-05-03) of the prediction log, or an hour (2013-05-03T14) of one that has very many rows or is not over.
    `mark` differs when its rows do, `files` when their files do."""

    @property
    def name(self) -> str: ...
    @property
    def first_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def files(self) -> str: ...
    @property
    def mark(self) -> str: ...


class Serving(Protocol):
    """The logs. Columns of predictions: id, endpoint, revision, model, version, at, event_time, key, the inputs,
    prediction, latency_us; of truth: prediction_id, key, event_time, value, observed_at, received_at, seq."""

    def endpoints(self) -> Sequence[Endpoint]: ...
    def standing(self, tx: Transaction, endpoint: str) -> bool:
        """Whether there is, or was until it was retired, such an endpoint: false once it is in the trash."""

    def log_mark(self, endpoint: str) -> str:
        """Differs once anything of the logs differs; cheap."""

    def log_days(self, endpoint: str, known: Sequence[Any] = ()) -> Sequence[LogUnit]:
        """The units that hold rows, oldest first; `known` are those that were answered before."""

    def read_predictions(
        self, endpoint: str, since: str | None = None, until: str | None = None, by: str = "at",
        columns: Sequence[str] | None = None,
    ) -> pa.Table:  # fmt: skip
        """Those with since <= `by` < until, where `by` is "at" or "event_time"; with `columns` only those that exist."""

    def read_truth(self, endpoint: str, after: int = 0, most: int | None = None) -> pa.Table:
        """In the order of receipt; with `most` only the first so many with seq > `after`."""

    def truth_mark(self, endpoint: str) -> str:
        """Differs once truth that was received is gone."""

    def times_of_ids(self, ids: pa.ChunkedArray) -> NDArray[np.int64]:
        """The millisecond that each prediction id holds; -1 for what is none."""


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

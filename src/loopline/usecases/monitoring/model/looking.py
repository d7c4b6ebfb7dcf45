"""What is handed to everything that looks at an endpoint's windows, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from loopline.core.tables import Signature
from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model.alerts import Finding
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.windows import LabelDelay, Window

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.usecases.monitoring.model.profile import Profile
    from loopline.usecases.monitoring.model.tallies import Tally

Describe = Callable[[str, int], "tuple[Signature | None, Profile | None]"]


class Book(Protocol):
    """What is kept of an endpoint's rows, by day (hour) of event time. All bounds are milliseconds since 1970, UTC."""

    def starts(self) -> Sequence[int]:
        """First moments of the buckets that hold rows, increasing."""

    def profile(self, start_ms: int, end_ms: int, version: int | None = None) -> Profile | None:
        """Inputs, prediction and latency of the rows with start <= event time < end; None without any."""

    def tallies(self, start_ms: int, end_ms: int, column: str = "", value: str = "") -> Mapping[int, Tally]:
        """Scores beside truth by start of bucket: of all rows, or of those with that value of "version", "arm" or a slice."""

    def values(self, column: str) -> Sequence[str]:
        """The values that a segment column has had."""


@dataclass(frozen=True)
class Look:
    """One evaluation of one endpoint.

    `windows` are all of them, oldest first, with realized metrics. `live` is the model and version of the newest
    prediction, `live_at` the version that served when each window (by start) matured or ended. `rows(start, end,
    columns)` reads logged predictions by event time (ISO 8601) with the columns `truth` (float64, NaN where it has not
    arrived) and `known_at` (timestamp) joined to them. `limits` are by metric.
    """

    endpoint: str
    config: MonitorConfig
    book: Book
    windows: Sequence[Window]
    live: tuple[str, int | None]
    live_at: Mapping[str, int | None]
    limits: Mapping[str, float]
    delay: LabelDelay
    watermark_ms: int
    describe: Describe
    rows: Callable[[str, str, Sequence[str] | None], pa.Table]
    read: Callable[[Callable[[Transaction], Any]], Any]


class Looked(Protocol):
    """What a look found: `findings` become alerts, `keep` writes rows in the transaction of the evaluation."""

    @property
    def findings(self) -> Sequence[Finding]: ...
    def keep(self, tx: Transaction, at: str) -> None: ...

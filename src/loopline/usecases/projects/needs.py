"""What projects ask of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from loopline.core.facts import Fact
from loopline.ports.database import Transaction


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them, and read."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...
    def about(self, subject: str, kinds: Sequence[str] = ()) -> list[Fact]: ...
    def latest(self, limit: int = 100, before: int = 0, kind: str = "", subject: str = "") -> list[Fact]: ...


class Datasets(Protocol):
    """Where datasets are declared and taken in; asked twice for the same it changes nothing."""

    def wish(self, name: str, source: Mapping[str, str], contract: Mapping[str, Any] | None) -> dict[str, Any]:
        """What `standing_in` would answer once this is declared."""

    def standing_in(self, tx: Transaction, name: str) -> dict[str, Any] | None:
        """What a dataset is declared to be: folder, url, query, digest of the contract."""

    def declare_in(
        self, tx: Transaction, name: str, source: Mapping[str, str], contract: Mapping[str, Any] | None, actor: str
    ) -> bool: ...
    def retire_in(self, tx: Transaction, name: str, actor: str) -> bool: ...
    def snapshot(self, name: str, actor: str, variables: Mapping[str, str] | None = None) -> Any: ...


class Revision(Protocol):
    """A deployment."""

    @property
    def version(self) -> int: ...
    @property
    def requested_by(self) -> str: ...
    @property
    def live_at(self) -> str | None: ...


class Serving(Protocol):
    """Where endpoints are made; asked twice for the same it changes nothing."""

    def standing_in(self, tx: Transaction, name: str) -> dict[str, Any] | None:
        """What an endpoint is declared to be: model, alias, key, event_time, options."""

    def wished_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What `standing_in` would answer once these options are declared. Invalid names one that cannot be."""

    def put_options_in(self, tx: Transaction, name: str, options: Mapping[str, Any], actor: str) -> None:
        """Have an endpoint serve with these options, all others at their defaults."""

    def by_hand_in(self, tx: Transaction, name: str) -> Revision | None:
        """What an endpoint serves that follows an alias and was deployed or rolled back by hand."""

    def put_in(
        self,
        tx: Transaction,
        name: str,
        model_name: str,
        actor: str,
        alias: str | None = None,
        key: str | None = None,
        event_time: str | None = None,
    ) -> Any: ...
    def retire_in(self, tx: Transaction, name: str, actor: str) -> bool: ...


class Arrivals(Protocol):
    """How truth arrives at an endpoint: labels an hour, and after how many hours hardly any is still to come (None: not known
    yet); and the inputs of what it serves (none: not known)."""

    @property
    def labels_per_hour(self) -> float | None: ...
    @property
    def wait_hours(self) -> float | None: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...


class Monitoring(Protocol):
    """Who knows how truth arrives."""

    def arrivals_in(self, tx: Transaction, endpoint: str) -> Arrivals | None:
        """None for an endpoint that was never evaluated."""

"""What projects ask of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from loopline.core.facts import Fact
from loopline.ports.database import Transaction


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...


class Datasets(Protocol):
    """Where datasets are declared and taken in; asked twice for the same it changes nothing."""

    def declare_from(
        self, name: str, source: Mapping[str, str], contract: Mapping[str, Any] | None, actor: str
    ) -> bool: ...
    def snapshot(self, name: str, actor: str) -> Any: ...


class Serving(Protocol):
    """Where endpoints are made; asked twice for the same it changes nothing."""

    def put(
        self,
        name: str,
        model_name: str,
        actor: str,
        alias: str | None = None,
        key: str | None = None,
        event_time: str | None = None,
    ) -> Any: ...

"""What the registry asks of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from loopline.core.facts import Fact
from loopline.ports.database import Transaction


class Ledger(Protocol):
    """Where changes of state are written, in the transaction that makes them."""

    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Fact: ...

"""What access asks of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from loopline.ports.database import Transaction


class Facts(Protocol):
    def append(self, tx: Transaction, kind: str, subject: str, actor: str, body: Mapping[str, Any]) -> Any: ...

"""What time it is."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The present moment; wall clock never decides order (the ledger's sequence does)."""

    def now(self) -> datetime:
        """An aware UTC datetime."""

    def text(self) -> str:
        """The same as ISO 8601 text with milliseconds, the form in which times are stored."""

"""Engines that tell the time."""

from __future__ import annotations

from datetime import UTC, datetime

from loopline.core.times import to_text


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def text(self) -> str:
        return to_text(self.now())

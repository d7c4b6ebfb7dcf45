"""How values look on a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def moment(text: str | None) -> str:
    """A time as people read it: 2013-04-01 12:00:05 (UTC)."""
    return "" if not text else text[:19].replace("T", " ")


def number(value: Any, digits: int = 4) -> str:
    """A number without noise; a dash for nothing."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def short(digest: str | None) -> str:
    """The first twelve signs of a digest or id."""
    return (digest or "")[:12]


FILTERS: dict[str, Callable[..., str]] = {"moment": moment, "number": number, "short": short}

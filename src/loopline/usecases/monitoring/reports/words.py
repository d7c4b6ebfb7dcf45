"""How values look in a report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

DASH = "–"


def number(value: Any, digits: int = 4) -> str:
    """A number without noise; a dash for nothing."""
    if not _usable(value):
        return DASH if value is None or value != value else str(value)
    whole = float(value).is_integer() or abs(value) >= 1000
    return f"{value:,.0f}" if whole else f"{value:,.{digits}g}"


def fixed(value: Any, digits: int = 3) -> str:
    """A number with so many decimals; a dash for nothing."""
    return f"{value:,.{digits}f}" if _usable(value) else DASH


def percent(value: Any, digits: int = 1) -> str:
    """A share as a percentage; a dash for nothing."""
    return f"{100 * value:.{digits}f} %" if _usable(value) else DASH


def words(name: Any) -> str:
    """A name as words: data_quality becomes data quality."""
    return str(name).replace("_", " ")


def plain(value: Any) -> str:
    """Data as JSON text."""
    return msgspec.json.encode(value).decode()


def part(text: Any) -> str:
    """A name as one piece of a path."""
    return quote(str(text), safe="")


def day(at: Any) -> str:
    """The day of a time."""
    return str(at or DASH)[:10]


def _usable(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


FILTERS: dict[str, Callable[..., str]] = {
    "plain": plain,
    "number": number,
    "fixed": fixed,
    "percent": percent,
    "part": part,
    "words": words,
    "day": day,
}

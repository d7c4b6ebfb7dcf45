"""The ranges and categories that an endpoint declares for its inputs: what lies outside is rejected, clipped or counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopline.core.tables import Column
from loopline.shells.dataplane.answers import Fault
from loopline.usecases.serving.options import Range

Count = Callable[[str, str, str], None]
HOW = "`loopline endpoint options` shows the ranges and changes them."
SHOWN = 20


class Limit:
    """The declared range of one input. Null is never outside."""

    __slots__ = ("at", "categories", "column", "high", "low", "otherwise", "shown")

    def __init__(self, at: int, column: Column, declared: Range) -> None:
        self.at = at
        self.column = column
        self.otherwise = declared.otherwise
        numeric = column.type in ("float", "integer")
        bounds: tuple[float, float] = _bounds(column, declared) if numeric else (-math.inf, math.inf)
        self.low, self.high = bounds
        text = column.type == "string" and declared.categories is not None
        self.categories = frozenset(declared.categories or ()) if text else None
        self.shown = ", ".join((declared.categories or ())[:SHOWN])

    @property
    def bounds(self) -> bool:
        """Whether it can refuse anything."""
        return self.categories is not None or self.low > -math.inf or self.high < math.inf

    def reason(self, value: Any) -> str:
        """Why a value lies outside; empty when it does not."""
        if value is None:
            return ""
        if self.categories is not None:
            return "" if value in self.categories else "category"
        return "minimum" if value < self.low else "maximum" if value > self.high else ""

    def clipped(self, reason: str) -> Any:
        """What is taken instead of a value that lies outside."""
        return None if reason == "category" else self.low if reason == "minimum" else self.high

    def told(self, reason: str, value: Any) -> str:
        """The end of a sentence about a value outside."""
        if reason == "category":
            return f"is {value[:80]!r}, which is none of: {self.shown}"
        word, bound = ("less", self.low) if reason == "minimum" else ("more", self.high)
        return f"is {value:g}, {word} than the {reason} of {bound:g}"


class Ranges:
    """All ranges of one endpoint, applied to row tuples. `count(input, reason, what became of it)` is told of each value
    outside."""

    def __init__(self, columns: Sequence[Column], declared: Mapping[str, Range], count: Count) -> None:
        limits = [
            Limit(at, column, declared[column.name]) for at, column in enumerate(columns) if column.name in declared
        ]
        self._limits = [limit for limit in limits if limit.bounds]
        self._count = count

    def __bool__(self) -> bool:
        return bool(self._limits)

    def apply(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows, clipped where that is declared. Fault names the first row and field to be rejected, and the limit."""
        found = None
        for number, row in enumerate(rows):
            changed = None
            for limit in self._limits:
                reason = limit.reason(row[limit.at])
                if reason:
                    changed = self._outside(limit, reason, row, changed, number)
            if changed is not None:
                found = found or list(rows)
                found[number] = tuple(changed)
        return found or rows

    def _outside(self, limit: Limit, reason: str, row: tuple[Any, ...], changed: list[Any] | None, number: int) -> Any:
        name = limit.column.name
        what = limit.otherwise
        if what == "clip" and reason == "category" and not limit.column.nullable:
            what = "reject"  # null cannot stand for it
        self._count(name, reason, what)
        if what == "pass":
            return changed
        if what == "reject":
            raise Fault(400, f"Row {number}: the field {name!r} {limit.told(reason, row[limit.at])}.", HOW)
        changed = changed or list(row)
        changed[limit.at] = limit.clipped(reason)
        return changed


def _bounds(column: Column, declared: Range) -> tuple[Any, Any]:
    """The bounds, as integers that lie inside them for an integer."""
    low = -math.inf if declared.minimum is None else declared.minimum
    high = math.inf if declared.maximum is None else declared.maximum
    if column.type == "integer":
        return (math.ceil(low) if math.isfinite(low) else low), (math.floor(high) if math.isfinite(high) else high)
    return low, high

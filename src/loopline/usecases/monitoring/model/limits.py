"""What a column may hold, beyond its type: from a dataset's contract or an endpoint's ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Inclusive bounds of numbers, allowed values of texts; None and () allow everything."""

    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()


def limits_of(rules: Iterable[Any] = (), ranges: Mapping[str, Any] | None = None) -> dict[str, Limits]:
    """Limits by column from a contract's rules (name, minimum, maximum, allowed) and an endpoint's ranges by input
    (minimum, maximum, categories); a range replaces the rule of the same column. Bounds of times are left out."""
    found = {rule.name: _limits(rule.minimum, rule.maximum, rule.allowed) for rule in rules}
    for name, written in (ranges or {}).items():
        found[name] = _limits(written.minimum, written.maximum, written.categories or ())
    return {name: limits for name, limits in found.items() if limits != Limits()}


def _limits(minimum: Any, maximum: Any, allowed: Iterable[Any]) -> Limits:
    low, high = (None if bound is None or isinstance(bound, str) else float(bound) for bound in (minimum, maximum))
    return Limits(minimum=low, maximum=high, allowed=tuple(_text(value) for value in allowed))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""What a column may hold, beyond its type: from a dataset's contract or an endpoint's ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MOST_BYTES = 1000


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Inclusive bounds of numbers, allowed values of texts; None and () allow everything."""

    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()


def limits_of(rules: Iterable[Any] = (), ranges: Mapping[str, Any] | None = None) -> dict[str, Limits]:
    """Limits by column from a contract's rules (name, minimum, maximum, allowed) and an endpoint's ranges by input
    (minimum, maximum, categories); a range replaces the rule of the same column. Bounds of times, and lists of more than
    MOST_BYTES, are left out."""
    found = {rule.name: _limits(rule.minimum, rule.maximum, rule.allowed) for rule in rules}
    for name, written in (ranges or {}).items():
        found[name] = _limits(written.minimum, written.maximum, written.categories or ())
    return {name: limits for name, limits in found.items() if kept(limits) is not None}


def kept(limits: Limits | None) -> Limits | None:
    """The limits as a profile keeps them: none where they say nothing, or list more than MOST_BYTES of values."""
    told = limits if limits is not None and limits != Limits() else None
    return None if told is None or len(msgspec.json.encode(told)) > MOST_BYTES else told


def beyond(column: Any, limits: Limits) -> int:
    """How many rows of an Arrow column are beyond limits; what is missing or infinite is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = pa.types
    if limits.allowed and (kinds.is_string(column.type) or kinds.is_boolean(column.type)):
        told = column.cast("string").drop_null()
        return len(told) - int(pc.sum(pc.is_in(told, value_set=pa.array(limits.allowed, pa.string()))).as_py() or 0)
    if not (kinds.is_floating(column.type) or kinds.is_integer(column.type)):
        return 0
    numbers = column.cast("float64", safe=False).drop_null()
    numbers = numbers.filter(pc.is_finite(numbers))
    low = 0 if limits.minimum is None else int(pc.sum(pc.less(numbers, limits.minimum)).as_py() or 0)
    return low + (0 if limits.maximum is None else int(pc.sum(pc.greater(numbers, limits.maximum)).as_py() or 0))


def together(found: Iterable[Limits | None]) -> Limits | None:
    """Those of columns that are added up, the same in any order: profiles that were made alike have the same."""
    return max((one for one in found if one is not None), key=msgspec.json.encode, default=None)


def _limits(minimum: Any, maximum: Any, allowed: Iterable[Any]) -> Limits:
    low, high = (None if bound is None or isinstance(bound, str) else float(bound) for bound in (minimum, maximum))
    return Limits(minimum=low, maximum=high, allowed=tuple(_text(value) for value in allowed))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

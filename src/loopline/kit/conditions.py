"""Whether a value is what somebody asks for: equal, one of several, or beyond a bound."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
OTHER = "!="


def agrees(found: Any, wanted: Any) -> bool:
    """Equal, or one of a list, or within all bounds of a map such as {">=": 10, "<": 20}; {"!=": x} is anything else.

    Numbers and texts compare as people write them. What is not there (None) agrees with nothing.
    """
    if isinstance(wanted, list | tuple):
        return any(agrees(found, each) for each in wanted)
    if isinstance(wanted, Mapping):
        return found is not None and all(_within(found, sign, bound) for sign, bound in wanted.items())
    return found is not None and (found == wanted or _written(found) == _written(wanted))


def wrong_condition(wanted: Any) -> str:
    """What is wrong with a condition, or ""."""
    if isinstance(wanted, list):
        return next((text for each in wanted if (text := wrong_condition(each))), "")
    if not isinstance(wanted, Mapping):
        return ""
    for sign, bound in wanted.items():
        if sign != OTHER and sign not in BOUNDS:
            return f"{sign!r} compares nothing; use one of {', '.join([*BOUNDS, OTHER])}"
        if sign != OTHER and _number(bound) is None:
            return f"{bound!r} is no number to compare with"
    return ""


def _within(found: Any, sign: str, bound: Any) -> bool:
    if sign == OTHER:
        return not agrees(found, bound)
    value, limit = _number(found), _number(bound)
    return value is not None and limit is not None and sign in BOUNDS and BOUNDS[sign](value, limit)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

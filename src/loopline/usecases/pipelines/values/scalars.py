"""Python's own small values that JSON has no form for: a name for the type, and a text."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import json
import uuid
from collections.abc import Callable
from typing import Any

from loopline.core.errors import Invalid


def is_scalar(value: Any) -> bool:
    """Whether a value is of one of the types here, exactly."""
    return type(value) in _WRITERS


def encoded(value: Any) -> bytes:
    """Type and text; Invalid for a time zone that has no name."""
    name, write = _WRITERS[type(value)]
    return json.dumps([name, write(value)], separators=(",", ":")).encode()


def decoded(content: bytes) -> Any:
    """The value."""
    name, text = json.loads(content)
    return _READERS[name](text)


def _zoned(value: Any) -> list[Any]:
    """ISO text with the offset, the time zone's name, and which of two equal readings of the clock it is."""
    zone = value.tzinfo
    key = getattr(zone, "key", "") if type(zone).__module__.startswith("zoneinfo") else ""
    if zone is not None and not key and not isinstance(zone, dt.timezone):
        raise Invalid(f"The time zone {zone!r} would not come back.", "Use zoneinfo.ZoneInfo or datetime.UTC.")
    return [value.replace(tzinfo=None).isoformat() if key else value.isoformat(), key, value.fold]


def _of_zoned(kind: Any) -> Callable[[Any], Any]:
    def read(parts: list[Any]) -> Any:
        from zoneinfo import ZoneInfo

        text, key, fold = parts
        value = kind.fromisoformat(text)
        return value.replace(tzinfo=ZoneInfo(key) if key else value.tzinfo, fold=fold)

    return read


_WRITERS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    dt.datetime: ("datetime", _zoned),
    dt.time: ("time", _zoned),
    dt.date: ("date", lambda value: value.isoformat()),
    dt.timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    decimal.Decimal: ("decimal", str),
    fractions.Fraction: ("fraction", lambda value: [value.numerator, value.denominator]),
    uuid.UUID: ("uuid", str),
    complex: ("complex", lambda value: [value.real, value.imag]),
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "datetime": _of_zoned(dt.datetime),
    "time": _of_zoned(dt.time),
    "date": dt.date.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "decimal": decimal.Decimal,
    "fraction": lambda parts: fractions.Fraction(*parts),
    "uuid": uuid.UUID,
    "complex": lambda parts: complex(*parts),
}

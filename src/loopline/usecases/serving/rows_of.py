"""Rows as people have them (dicts, frames, tables) as bodies of requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid

FORMS = "a dict, a list of dicts, or a table of pandas, Polars or Arrow"


def pieces_of(rows: Any, size: int) -> Iterator[list[Any]]:
    """The rows as dicts, `size` at a time. Invalid for anything that has no rows."""
    found = _slices(rows, size)
    for piece in found:
        if not piece:
            raise Invalid("There are no rows.", f"Give {FORMS}.")
        yield piece


def body_of(rows: list[Any]) -> bytes:
    """`{"rows": […]}`; what a table has instead of a value becomes null. Invalid names a value that cannot travel."""
    try:
        return msgspec.json.encode({"rows": rows}, enc_hook=_plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(
            f"The rows cannot be sent: {error}.", "Values are numbers, text, true or false, times, or None."
        ) from None


def _slices(rows: Any, size: int) -> Iterator[list[Any]]:
    if isinstance(rows, Mapping):
        yield [dict(rows)]
    elif hasattr(rows, "to_pylist"):  # Arrow
        yield from (rows.slice(start, size).to_pylist() for start in _starts(rows.num_rows, size))
    elif hasattr(rows, "to_dicts"):  # Polars
        yield from (rows.slice(start, size).to_dicts() for start in _starts(len(rows), size))
    elif hasattr(rows, "iloc") and hasattr(rows, "columns"):  # pandas
        yield from (rows.iloc[start : start + size].to_dict("records") for start in _starts(len(rows), size))
    elif isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
        listed = list(rows)
        if not all(isinstance(each, Mapping) for each in listed):
            raise Invalid("A row is not a dict.", f"Give {FORMS}.")
        yield from (listed[start : start + size] for start in _starts(len(listed), size))
    else:
        raise Invalid(f"{type(rows).__name__!r} has no rows.", f"Give {FORMS}.")


def _starts(count: int, size: int) -> range:
    return range(0, count or 1, size)


def _plain(value: Any) -> Any:
    """Scalars of numpy and pandas as Python's own; what is not there (NaN, NaT, NA) as None."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    if hasattr(value, "item") and not getattr(value, "shape", ()):
        return value.item()
    raise TypeError(f"{type(value).__name__!r} is no value of a row")

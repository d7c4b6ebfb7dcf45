"""Rows of plain values and columns of arrays: from one to the other, as a signature describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid
from loopline.core.tables import Column

if TYPE_CHECKING:
    import numpy as np

NAN = float("nan")


def rows_of(columns: Mapping[str, Any], inputs: Sequence[Column]) -> list[dict[str, Any]]:
    """n rows as dicts of float, int, bool, str (also for times) or None, from arrays of n values (see `LoadedModel`)."""
    lists = [plain(columns[column.name].tolist(), column) for column in inputs]
    names = [column.name for column in inputs]
    return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]


def plain(values: list[Any], column: Column) -> list[Any]:
    """The values of one column; NaN becomes None where the column may be empty."""
    if not column.nullable or column.type in ("string", "timestamp"):
        return values
    back: Any = {"integer": int, "boolean": bool}.get(column.type, float)
    return [None if value is None or value != value else back(value) for value in values]


def columns_of(rows: Sequence[Mapping[str, Any]], inputs: Sequence[Column]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays from rows; fields beyond `inputs` are left out. Invalid names the field that is missing or of another type."""
    return {column.name: array_of([_value(row, column) for row in rows], column) for column in inputs}


def array_of(values: list[Any], column: Column) -> np.ndarray[Any, Any]:
    """The values of one column as an array: float64, int64, bool, or object of str and None."""
    import numpy as np

    try:
        if column.type in ("string", "timestamp"):
            found = np.empty(len(values), dtype=object)
            found[:] = values
            return found
        if column.type == "float" or column.nullable:
            return np.array([NAN if value is None else value for value in values], dtype=np.float64)
        return np.array(values, dtype=np.int64 if column.type == "integer" else np.bool_)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(
            f"The field {column.name!r} holds what is no {column.type}.", f"It must be a {column.type}."
        ) from None


def _value(row: Mapping[str, Any], column: Column) -> Any:
    value = row.get(column.name)
    if value is None:
        if column.nullable:
            return None
        raise Invalid(f"The field {column.name!r} is missing.", f"The model needs it ({column.type}).")
    if column.type in ("string", "timestamp") and not isinstance(value, str):
        raise Invalid(f"The field {column.name!r} holds {value!r:.40}, which is no text.", "Make it a text.")
    if column.type == "integer" and isinstance(value, float) and not value.is_integer():
        raise Invalid(f"The field {column.name!r} holds {value!r:.40}, which is no whole number.", "Round it.")
    return value

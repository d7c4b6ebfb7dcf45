"""Values of one column as bytes: what travels to a model's process and into the log.

float: float64. integer: int64, or float64 with NaN for null where the column is nullable. boolean: one byte each, or
float64 with NaN where nullable. string: a list of text or null. timestamp: the same, ISO 8601 text in UTC.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from loopline.core.tables import Column, Signature

if TYPE_CHECKING:
    import numpy as np

NAN = float("nan")
ORDINARY: dict[str, Any] = {
    "float": 0.0, "integer": 0, "string": "", "boolean": False, "timestamp": "2013-01-01T00:00:00.000Z",
}  # fmt: skip
Packed = bytes | list[Any]


def kind_of(column: Column) -> str:
    """How the column is packed: "d" (float64), "q" (int64), "?" (byte) or "s" (list of text)."""
    if column.type in ("string", "timestamp"):
        return "s"
    if column.type == "float" or column.nullable:
        return "d"
    return "q" if column.type == "integer" else "?"


def pack(kind: str, values: Sequence[Any]) -> Packed:
    """Values of the right type, None for null, as bytes or a list."""
    if kind == "d":
        try:
            return array("d", values).tobytes()
        except TypeError:
            return array("d", [NAN if value is None else value for value in values]).tobytes()
    if kind == "q":
        return array("q", values).tobytes()
    return bytes(values) if kind == "?" else list(values)


def one_row(kinds: Sequence[str]) -> Callable[[Sequence[Any]], list[Packed]]:
    """What packs a row as `pack` packs its columns, for columns of these kinds. The numbers are packed in one step: an
    array for each column costs more than the rest of a small request."""
    places = [place for place, kind in enumerate(kinds) if kind != "s"]
    form = struct.Struct("=" + "".join(kinds[place] for place in places))
    sizes = [0 if kind == "s" else 1 if kind == "?" else 8 for kind in kinds]
    stops = list(accumulate(sizes))
    parts = [slice(stop - size, stop) if size else None for size, stop in zip(sizes, stops, strict=True)]

    def packed(row: Sequence[Any]) -> list[Packed]:
        try:
            whole = form.pack(*[row[place] for place in places])
        except struct.error:  # null, which is NaN
            return [pack(kind, (value,)) for kind, value in zip(kinds, row, strict=False)]
        return [whole[part] if part else [value] for part, value in zip(parts, row, strict=False)]

    return packed


def made_up(signature: Signature) -> tuple[Any, ...]:
    """A row that the signature allows: null where that is possible, else something ordinary."""
    return tuple(None if column.nullable else ORDINARY[column.type] for column in signature.inputs)


def join(kind: str, parts: Sequence[Any]) -> Packed:
    """Several packed columns one after the other."""
    if kind != "s":
        return b"".join(parts)
    return [value for part in parts for value in part]


def as_numpy(kind: str, packed: Packed) -> np.ndarray[Any, Any]:
    """A numpy array: float64, int64, bool or object of str and None."""
    import numpy as np

    if kind == "s":
        values = np.empty(len(packed), dtype=object)
        values[:] = packed
        return values
    return np.frombuffer(packed, dtype={"d": np.float64, "q": np.int64, "?": np.bool_}[kind])  # type: ignore[arg-type]

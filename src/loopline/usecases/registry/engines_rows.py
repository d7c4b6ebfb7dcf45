"""Rows on which engines are compared with the library: held-out ones, and made-up ones with everything that may come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loopline.core.errors import LooplineError
from loopline.core.tables import Column, Signature, kind_of

if TYPE_CHECKING:
    import pyarrow as pa

HELD_OUT, PROBES = 512, 96
NONE_OF_THEM = "\x00 none of them"
Columns = dict[str, Any]


def held_out(table: pa.Table | None, signature: Signature) -> Columns | None:
    """The first rows of a table as a model takes them; None when a column is missing or of another type."""
    import pyarrow as pa

    names = set() if table is None else set(table.column_names)
    if table is None or not table.num_rows or any(one.name not in names for one in signature.inputs):
        return None
    some = table.slice(0, HELD_OUT)
    try:
        return {one.name: _values(some.column(one.name), one) for one in signature.inputs}
    except (pa.ArrowException, ValueError, TypeError, LooplineError):
        return None


def _values(values: Any, column: Column) -> Any:
    import numpy as np
    import pyarrow as pa

    kind = kind_of(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if kind == "s":
        found = np.empty(len(values), dtype=object)
        found[:] = [None if one is None else str(one) for one in values.to_pylist()]
        return found
    if kind == "d":
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return values.cast(pa.int64() if kind == "q" else pa.bool_()).to_numpy(zero_copy_only=False)


def probes(signature: Signature, real: Columns | None, known: Mapping[str, Any]) -> Columns:
    """Values of every kind: known, unknown, missing, zero, small, large. `known` adds values to single columns."""
    import numpy as np

    draw = np.random.default_rng(20130401)
    found: Columns = {}
    for column in signature.inputs:
        kind = kind_of(column)
        seen = [] if real is None else [one for one in real[column.name].tolist() if one is not None and one == one]
        if kind == "s":
            values = [*dict.fromkeys([*map(str, known.get(column.name, ())), *seen])][: PROBES // 2]
            values += [NONE_OF_THEM, *([None] if column.nullable else [])]
            found[column.name] = np.array([values[at] for at in draw.integers(0, len(values), PROBES)], dtype=object)
            continue
        numbers = draw.normal(size=PROBES) * 10.0 ** draw.integers(-2, 5, PROBES)
        numbers[::5] = draw.integers(-3, 12, len(numbers[::5]))
        usual = [one for one in [*known.get(column.name, ()), *seen] if isinstance(one, int | float)]
        if usual:
            where = draw.random(PROBES) < 0.5
            numbers[where] = draw.choice(np.array(usual, dtype=np.float64), PROBES)[where]
        if kind == "d" and column.nullable:
            numbers[draw.random(PROBES) < 0.1] = np.nan
        found[column.name] = numbers > 0 if kind == "?" else numbers.astype({"d": np.float64, "q": np.int64}[kind])
    return found


def rows_of(columns: Mapping[str, Any]) -> int:
    """How many rows."""
    return len(next(iter(columns.values()))) if columns else 0


def some(columns: Mapping[str, Any], count: int) -> Columns:
    """Exactly `count` rows: the first ones, or all of them several times."""
    import numpy as np

    at = np.arange(count) % max(1, rows_of(columns))
    return {name: values[at] for name, values in columns.items()}

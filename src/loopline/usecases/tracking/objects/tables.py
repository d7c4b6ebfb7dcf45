"""Tables and confusion matrices as JSON.

A table: {"columns": [{"name", "type"}], "rows": [[…]], "total": n}; a confusion matrix: {"labels": […], "counts": [[…]]}
with a row for each true label and a column for each predicted one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import Invalid

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "application/vnd.loopline.table+json"
MOST_ROWS = 10_000
MOST_COLUMNS = 1_000
MOST_LABELS = 1_000
LONGEST_CELL = 2_000


def encoded(given: Any) -> bytes:
    """The JSON of a table."""
    table = arrow(given)
    if table.num_columns > MOST_COLUMNS:
        raise Invalid(f"A table of {table.num_columns} columns is too wide.", f"Keep at most {MOST_COLUMNS}.")
    shown = table.slice(0, MOST_ROWS)
    columns = [{"name": str(field.name), "type": str(field.type)} for field in table.schema]
    cells = [[cell(value) for value in column.to_pylist()] for column in shown.columns]
    rows = [list(row) for row in zip(*cells, strict=True)]
    return msgspec.json.encode({"columns": columns, "rows": rows, "total": table.num_rows})


def confusion(truth: Sequence[Any], predicted: Sequence[Any], labels: Sequence[Any] | None = None) -> bytes:
    """The JSON of a confusion matrix."""
    pairs = list(zip(listed(truth), listed(predicted), strict=False))
    if len(listed(truth)) != len(listed(predicted)) or not pairs:
        raise Invalid(
            f"{len(listed(truth))} true and {len(listed(predicted))} predicted labels make no confusion matrix.",
            "Give as many of the one as of the other.",
        )
    seen = {one for pair in pairs for one in pair}
    order = listed(labels) if labels is not None else sorted(seen, key=lambda one: (str(type(one)), one))
    if len(order) > MOST_LABELS or seen - set(order):
        raise Invalid(
            f"A confusion matrix takes {MOST_LABELS} labels at most, and all that occur.", "Give labels= in order."
        )
    place = {label: number for number, label in enumerate(order)}
    counts = [[0] * len(order) for _ in order]
    for true, guessed in pairs:
        counts[place[true]][place[guessed]] += 1
    return msgspec.json.encode({"labels": [cell(label) for label in order], "counts": counts})


def arrow(given: Any) -> pa.Table:
    """An Arrow table of a frame (pandas, Polars, Arrow), a list of maps or a map of columns; Invalid for others."""
    import pyarrow as pa

    try:
        if isinstance(given, pa.Table):
            return given
        if isinstance(given, pa.RecordBatch):
            return pa.Table.from_batches([given])
        if hasattr(given, "collect") and hasattr(given, "collect_schema"):  # a lazy Polars frame
            given = given.collect()
        if hasattr(given, "to_arrow"):
            found = given.to_arrow()
            return found if isinstance(found, pa.Table) else pa.table({given.name or "value": found})
        if hasattr(given, "iloc"):
            frame = given if hasattr(given, "columns") else given.to_frame()
            return of_pandas(frame)
        if isinstance(given, Mapping):
            return pa.table({str(name): pa.array(listed(column)) for name, column in given.items()})
        return pa.Table.from_pylist([dict(row) for row in given])
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise Invalid(
            f"{type(given).__name__} cannot be read as a table ({reason}).", "Give a frame or a list of maps."
        ) from None


def of_pandas(frame: Any) -> pa.Table:
    """A pandas frame; columns of mixed objects as texts."""
    import pyarrow as pa

    frame = frame.rename(columns=str)
    try:
        return pa.Table.from_pandas(frame, preserve_index=None).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        mixed = [name for name, dtype in frame.dtypes.items() if dtype.kind == "O"]
        return pa.Table.from_pandas(frame.astype(dict.fromkeys(mixed, str))).replace_schema_metadata(None)


def listed(values: Any) -> list[Any]:
    """Values of an array, a column or any iterable as plain ones."""
    return list(values.tolist() if hasattr(values, "tolist") else values)


def cell(value: Any) -> Any:
    """A value that JSON can carry."""
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or -(2**53) <= value <= 2**53 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else ("NaN" if value != value else "Infinity" if value > 0 else "-Infinity")
    return (value.decode(errors="replace") if isinstance(value, bytes) else str(value))[:LONGEST_CELL]


def as_json(value: Any) -> bytes:
    """Plain data as JSON; what is not plain as text."""
    try:
        return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"This cannot be kept as JSON ({error}).", "Give maps, lists, texts and numbers.") from None

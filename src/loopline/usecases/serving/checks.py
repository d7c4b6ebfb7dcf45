"""A table held against a model's signature: the same rules as for a live request."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid, LooplineError
from loopline.core.tables import Column, Signature
from loopline.core.times import to_ms
from loopline.usecases.serving.records.columns import Packed, kind_of
from loopline.usecases.serving.records.writing import NO_TIME

if TYPE_CHECKING:
    import pyarrow as pa

WORDS = {"float": "a number", "integer": "an integer", "string": "text", "boolean": "true or false",
         "timestamp": "a time"}  # fmt: skip


def checked_columns(table: pa.Table, signature: Signature, before: int) -> list[Packed]:
    """The inputs packed (see records.columns). Invalid names field and row; `before` rows came in earlier chunks."""
    for column in signature.inputs:
        if column.name not in table.column_names:
            told = ", ".join(f"{each.name} ({each.type})" for each in signature.inputs)
            raise Invalid(f"The column {column.name!r} is missing.", f"The model takes {told}.")
    return [_packed(table[column.name].combine_chunks(), column, before) for column in signature.inputs]


def key_column(table: pa.Table, name: str | None) -> list[str | None] | None:
    """The values of the key as text."""
    import pyarrow as pa

    if name is None:
        return None
    _present(table, name)
    values: list[str | None] = table[name].cast(pa.string()).to_pylist()
    return values


def event_column(table: pa.Table, name: str | None, before: int) -> bytes | None:
    """Event times in milliseconds as int64 bytes."""
    if name is None:
        return None
    _present(table, name)
    texts = _times(table[name].combine_chunks(), Column(name, "timestamp", True), before)
    return array("q", [NO_TIME if text is None else to_ms(text) for text in texts]).tobytes()


def _present(table: pa.Table, name: str) -> None:
    if name not in table.column_names:
        raise Invalid(f"The column {name!r} is missing.", f"There are {', '.join(table.column_names)}.")


def _packed(values: Any, column: Column, before: int) -> Packed:
    import pyarrow as pa

    if isinstance(values.type, pa.DictionaryType):
        values = values.dictionary_decode()
    if column.type == "timestamp":
        texts = _times(values, column, before)
        _refuse_where(pa.array([text is None for text in texts]), column, before)
        return texts
    values = _typed(values, column, before)
    if column.type == "string":
        _refuse_where(values.is_null(), column, before)
        found: list[Any] = values.to_pylist()
        return found
    return _numbers(values, column, before)


def _numbers(values: Any, column: Column, before: int) -> bytes:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = kind_of(column)
    if column.type == "float":
        infinite = pc.fill_null(pc.is_inf(values), False)
        _refuse(infinite, f"the field {column.name!r} is infinite", before)
        _refuse_where(values.is_null(nan_is_null=True), column, before)
    else:
        _refuse_where(values.is_null(), column, before)
    if kind == "?":
        return bytes(values.to_numpy(zero_copy_only=False).astype(np.uint8).tobytes())
    if kind == "d":
        numbers = pc.cast(values, pa.uint8()) if column.type == "boolean" else values
        return bytes(pc.cast(numbers, pa.float64(), safe=False).to_numpy(zero_copy_only=False).tobytes())
    return bytes(values.to_numpy(zero_copy_only=False).astype(np.int64).tobytes())


def _typed(values: Any, column: Column, before: int) -> Any:
    """The values in the Arrow type of their column; Invalid where that would change one."""
    import pyarrow as pa
    from pyarrow import types

    given, wanted = values.type, column.type
    numeric = types.is_integer(given) or types.is_floating(given) or types.is_decimal(given)
    fits = {
        "float": numeric,
        "integer": types.is_integer(given) or types.is_floating(given),
        "string": types.is_string(given) or types.is_large_string(given),
        "boolean": types.is_boolean(given),
    }[wanted]
    target = {"float": pa.float64(), "integer": pa.int64(), "string": pa.string(), "boolean": pa.bool_()}[wanted]
    if not fits and not types.is_null(given):
        raise Invalid(f"The column {column.name!r} is {given}; it must be {WORDS[wanted]}.", "Convert it first.")
    if wanted == "integer" and types.is_floating(given):
        import pyarrow.compute as pc

        values = pc.if_else(pc.is_nan(values), pa.scalar(None, given), values)
        broken = pc.fill_null(pc.not_equal(pc.trunc(values), values), False)
        _refuse(broken, f"the field {column.name!r} is not an integer", before)
    return values.cast(target, safe=wanted != "float")


def _times(values: Any, column: Column, before: int) -> list[str | None]:
    import pyarrow as pa

    from loopline.core.times import from_ms, from_text, to_text

    if pa.types.is_timestamp(values.type):
        wanted = pa.timestamp("ms", values.type.tz)
        moments = values.cast(wanted, safe=False).cast(pa.int64()).to_pylist()
        return [None if ms is None else from_ms(ms) for ms in moments]
    if not (pa.types.is_string(values.type) or pa.types.is_null(values.type)):
        raise Invalid(f"The column {column.name!r} is {values.type}; it must be a time.", "Convert it first.")
    found: list[str | None] = []
    for place, text in enumerate(values.to_pylist()):
        try:
            found.append(None if text is None else to_text(from_text(text)))
        except LooplineError as error:
            raise Invalid(f"Row {before + place}: the field {column.name!r}: {error.message}", error.hint) from None
    return found


def _refuse_where(missing: Any, column: Column, before: int) -> None:
    """Invalid when a value is missing where it may not be."""
    if not column.nullable:
        _refuse(missing, f"the field {column.name!r} may not be null; it is {WORDS[column.type]}", before)


def _refuse(bad: Any, what: str, before: int) -> None:
    import pyarrow.compute as pc

    place = pc.index(bad, True).as_py()
    if place >= 0:
        raise Invalid(f"Row {before + place}: {what}.", "Correct or leave out the row.")

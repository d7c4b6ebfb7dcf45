"""What we say about tables of rows without touching an engine: columns, types and a model's signature."""

from __future__ import annotations

from typing import Literal

import msgspec

ColumnType = Literal["float", "integer", "string", "boolean", "timestamp"]


class Column(msgspec.Struct, frozen=True):
    """One named column. `nullable` says whether a row may leave it empty (null, or NaN for a float)."""

    name: str
    type: ColumnType
    nullable: bool = False


def kind_of(column: Column) -> str:
    """How a column's values come as an array: "d" float64 (NaN where empty), "q" int64, "?" bool, "s" objects (str, None)."""
    if column.type in ("string", "timestamp"):
        return "s"
    if column.type == "float" or column.nullable:
        return "d"
    return "q" if column.type == "integer" else "?"


class Signature(msgspec.Struct, frozen=True):
    """What a model takes (one row) and gives: `inputs` in order, `output` one column."""

    inputs: tuple[Column, ...]
    output: Column

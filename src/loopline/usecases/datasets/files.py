"""Parquet, CSV and Arrow files read as Arrow tables, with types that do not depend on which rows came first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid
from loopline.core.tables import Column, ColumnType
from loopline.usecases.datasets.model import Contract

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = {".parquet": "parquet", ".csv": "csv", ".arrow": "arrow"}
_DECIMAL = re.compile(r"decimal(?:32|64|128|256)\((\d+), (-?\d+)\)\Z")
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]\Z")


def format_of(path: Path) -> str | None:
    """The format that a file's name says, or None for a file that is no batch."""
    return None if path.name.startswith((".", "_")) else FORMATS.get(path.suffix.lower())


def read(path: Path, file_format: str, types: Mapping[str, str]) -> pa.Table:
    """The table in a file. `types` (Arrow's names, by column) are used for CSV, which has none of its own.

    Invalid, with the reader's words, for a file that is damaged or does not fit the types.
    """
    import pyarrow as pa

    try:
        if file_format == "parquet":
            import pyarrow.parquet as pq

            return _plain(pq.ParquetFile(path, memory_map=True).read())
        if file_format == "csv":
            return _csv(path, types)
        with pa.memory_map(str(path)) as source:
            return _plain(pa.ipc.open_file(source).read_all())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{str(error).splitlines()[0]}", "Write the file again.") from None


def declared_types(contract: Contract | None) -> dict[str, str]:
    """Arrow's names for the types that a contract declares; timestamps are left to the reader, which sees their zone."""
    names = {"float": "double", "integer": "int64", "string": "string", "boolean": "bool"}
    rules = contract.columns if contract else ()
    return {rule.name: names[rule.type] for rule in rules if rule.type in names}


def types_of(table: pa.Table) -> dict[str, str]:
    """Arrow's type names by column."""
    return {field.name: str(field.type) for field in table.schema}


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """The schema in Loopline's own types; what has none (lists, structs, binary) counts as a string."""
    return tuple(Column(field.name, _kind(field.type), field.nullable) for field in schema)


def unified(tables: list[pa.Table]) -> pa.Table:
    """The tables one after the other; integers meet floats as floats, a missing column is empty.

    Invalid names what cannot be brought together.
    """
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise Invalid(f"The batches do not fit together: {str(error).splitlines()[0]}", "Align their types.") from None


def unified_types(each: list[dict[str, str]]) -> pa.Schema:
    """The schema that tables of these types have together; Invalid names what cannot be brought together."""
    distinct = {tuple(types.items()) for types in each}
    empty = [_schema(dict(types)).empty_table() for types in sorted(distinct)]
    return unified(empty).schema


def _schema(types: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, _arrow_type(text)) for name, text in types.items()])


def _plain(table: pa.Table) -> pa.Table:
    """Dictionaries (pandas' categories) as the values that they stand for."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table[field.name].cast(field.type.value_type)
            table = table.set_column(position, field.with_type(field.type.value_type), values)
    return table.replace_schema_metadata(None)


def _csv(path: Path, types: Mapping[str, str]) -> pa.Table:
    import pyarrow.csv as csv

    wanted = {name: _arrow_type(text) for name, text in types.items()}
    convert = csv.ConvertOptions(column_types=wanted, strings_can_be_null=True, quoted_strings_can_be_null=False)
    return csv.read_csv(path, convert_options=convert)


def _arrow_type(text: str) -> Any:
    import pyarrow as pa

    zoned = _TIMESTAMP.match(text)
    if zoned:
        return pa.timestamp(zoned[1], tz=zoned[2])
    decimal = _DECIMAL.match(text)
    if decimal:
        return pa.decimal256(int(decimal[1]), int(decimal[2]))
    try:
        return pa.type_for_alias(text)
    except ValueError:  # a list, struct, …: a type of its own, that fits only its like
        return pa.struct([(text, pa.null())])


def _kind(arrow_type: Any) -> ColumnType:
    import pyarrow as pa

    if pa.types.is_integer(arrow_type):
        return "integer"
    if pa.types.is_floating(arrow_type) or pa.types.is_decimal(arrow_type):
        return "float"
    if pa.types.is_boolean(arrow_type):
        return "boolean"
    if pa.types.is_timestamp(arrow_type) or pa.types.is_date(arrow_type):
        return "timestamp"
    return "string"

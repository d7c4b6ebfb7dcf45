"""Columns of categories: each value is looked up once, and brings all the numbers that encoders made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loopline.adapters.engines.tables.running import Build, Run

_MOST_TOGETHER = 1 << 20
_WIDE = 128
Codes = Callable[[Any, Any], Any]


def lookup(build: Build) -> tuple[Run, int]:
    """Columns (of the request, or rows of an earlier value) to the rows of their tables. A table has a row for each category, one for an unknown value and one for a
    missing one; where `refuses` says so, such a value is an error, as it is to the library."""
    columns = build.spec["columns"]
    build.must(columns, "no column")
    tables = [build.array(f"table{place}", None, None) for place in range(len(columns))]
    coders = [_coder(build, column, len(table)) for column, table in zip(columns, tables, strict=True)]
    if build.spec["add"] is True:
        width = tables[0].shape[1]
        build.must(all(table.shape[1] == width for table in tables), "tables differ")
        return _together(coders, np.concatenate(tables), tables), width
    width = sum(table.shape[1] for table in tables)
    rows = sum(map(len, tables))
    if width <= _WIDE and rows * width <= _MOST_TOGETHER:
        return _together(coders, _spread(tables, rows, width), tables), width
    return _apart(coders, tables), width


def _spread(tables: list[Any], rows: int, width: int) -> Any:
    """All tables in one, each in columns of its own."""
    whole, row, place = np.zeros((rows, width)), 0, 0
    for table in tables:
        whole[row : row + len(table), place : place + table.shape[1]] = table
        row, place = row + len(table), place + table.shape[1]
    return whole


def _together(coders: list[Codes], whole: Any, tables: list[Any]) -> Run:
    starts = np.cumsum([0, *map(len, tables)])[:-1, None]
    if len(coders) == 1:
        coder = coders[0]
        return lambda columns, values: np.ascontiguousarray(whole.take(coder(columns, values), axis=0).T)

    def run(columns: Any, values: Any) -> Any:
        codes = np.concatenate([coder(columns, values) for coder in coders])
        codes = codes.reshape(len(coders), -1) + starts
        return np.add.reduce(whole.take(codes, axis=0), axis=0).T

    return run


def _apart(coders: list[Codes], tables: list[Any]) -> Run:
    sides = [np.ascontiguousarray(table.T) for table in tables]

    def run(columns: Any, values: Any) -> Any:
        parts = zip(coders, sides, strict=True)
        return np.concatenate([side.take(coder(columns, values), axis=1) for coder, side in parts])

    return run


def _coder(build: Build, column: Any, rows: int) -> Codes:
    """From a column's values to rows of its table."""
    refuses = column.get("refuses", [])
    if "texts" in column:
        name, texts = str(column["name"]), column["texts"]
        build.must(build.kinds.get(name) == "s", "the column is no text")
        build.must(len(texts) + 2 == rows and all(isinstance(text, str) for text in texts), "a table has other rows")
        codes = _texts({text: row for row, text in enumerate(texts)}, len(texts))
        return _strict(lambda columns, values: codes(columns[name]), len(texts), name, refuses)
    numbers = build.array(column["numbers"], rows - 2)
    build.must((np.diff(numbers) > 0).all() and len(numbers) > 0, "categories out of order")
    coded = _numbers(numbers)
    if "row" in column:
        place, row = build.source(), column["row"]
        build.must(type(row) is int and 0 <= row < build.widths[place], "it takes a row that is not there")
        return _strict(lambda columns, values: coded(values[place][row]), len(numbers), str(row), refuses)
    name = str(column["name"])
    build.must(build.kinds.get(name, "-") in "dq?", "the column is no number")
    return _strict(lambda columns, values: coded(columns[name]), len(numbers), name, refuses)


def _texts(rows: dict[Any, int], unknown: int) -> Callable[[Any], Any]:
    rows[None] = unknown + 1
    get = rows.get

    def codes(values: Any) -> Any:
        return np.array([get(value, unknown) for value in values.tolist()], dtype=np.intp)

    return codes


def _numbers(numbers: Any) -> Callable[[Any], Any]:
    unknown = len(numbers)

    def codes(values: Any) -> Any:
        values = values.astype(np.float64)
        place = numbers.searchsorted(values)
        place[place == unknown] = 0
        place[numbers[place] != values] = unknown
        place[np.isnan(values)] = unknown + 1
        return place

    return codes


def _strict(codes: Codes, unknown: int, name: str, refuses: list[str]) -> Codes:
    if not refuses:
        return codes
    bad = [unknown + place for place, what in enumerate(("unknown", "missing")) if what in refuses]

    def checked(columns: Any, values: Any) -> Any:
        found = codes(columns, values)
        if any((found == place).any() for place in bad):
            raise ValueError(f"Found unknown categories in column {name!r}")
        return found

    return checked

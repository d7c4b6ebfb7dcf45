"""Whatever rows arrive: every door takes the same ones as the same values, and refuses the others with the same sentence."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane import arrow, scoring, tensors
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.rows import Rows
from loopline.usecases.serving.options import Options, Range

pytestmark = pytest.mark.unit
OUTPUT = Column("y", "float")
COLUMNS = (
    Column("f", "float"), Column("g", "float", True), Column("i", "integer"), Column("j", "integer", True),
    Column("s", "string"), Column("c", "string", True), Column("b", "boolean"), Column("t", "timestamp", True),
)  # fmt: skip
TYPES = {column.name: column.type for column in COLUMNS}
DATATYPES = {"float": "FP64", "integer": "INT64", "string": "BYTES", "timestamp": "BYTES", "boolean": "BOOL"}
ARROW = {
    "float": pa.float64(),
    "integer": pa.int64(),
    "string": pa.string(),
    "timestamp": pa.string(),
    "boolean": pa.bool_(),
}
RANGES = {
    "f": Range(minimum=-1, maximum=1e6),
    "g": Range(minimum=0, maximum=10, otherwise="clip"),
    "i": Range(maximum=1000, otherwise="pass"),
    "j": Range(minimum=-2.5, maximum=2.5, otherwise="clip"),
    "s": Range(categories=("a", "b", "NaN"), otherwise="reject"),
    "c": Range(categories=("a",), otherwise="clip"),
}
counts: dict[tuple[str, str, str], int] = {}


def counted(*what: str) -> None:
    counts[what] = counts.get(what, 0) + 1  # type: ignore[index,arg-type]


CONTRACT = Rows(Signature(COLUMNS, OUTPUT), None, None, 50, Options(ranges=RANGES), counted)
text = st.sampled_from(["a", "b", "", "NaN", "x,y", 'say "NaN"', "ü", "2013-04-01T12:00:00Z", "1"])
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32), st.sampled_from([0.0, -1.0, 1e6, 1000001.0, 2.5])
)
integers = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-5, 5), st.sampled_from([1000, 1001]))
times = st.sampled_from(["2013-04-01T12:00:00Z", "2013-04-01T12:00:00.5+02:00", "1999-12-31 23:59:59"])
RIGHT = {
    "float": numbers,
    "integer": integers,
    "string": st.sampled_from(["a", "b", "NaN"]),
    "boolean": st.booleans(),
    "timestamp": times,
}
WRONG = st.one_of(
    text,
    numbers,
    integers,
    st.booleans(),
    st.none(),
    st.sampled_from([2.0, float("nan"), 1 << 70, -(1 << 64), [], [1]]),
)


def right(column: Column) -> Any:
    fine = RIGHT[column.type]
    return st.one_of(fine, st.none()) if column.nullable else fine


whole = st.lists(st.fixed_dictionaries({column.name: right(column) for column in COLUMNS}), min_size=1, max_size=4)
spoilt = st.tuples(whole, st.lists(st.tuples(st.integers(0, 3), st.sampled_from(list(TYPES)), WRONG), max_size=3))


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in TYPES}


def plain(rows: list[dict[str, Any]]) -> Any:
    return CONTRACT.from_plain(json.dumps({"rows": rows}).encode())


def tensor(rows: list[dict[str, Any]]) -> Any:
    inputs = [
        {"name": name, "datatype": DATATYPES[TYPES[name]], "shape": [len(rows)], "data": values}
        for name, values in columns_of(rows).items()
    ]
    return tensors.read(CONTRACT, OUTPUT, json.dumps({"inputs": inputs}).encode()).rows


def form(name: str, write: Callable[[list[dict[str, Any]]], Any]) -> Callable[[list[dict[str, Any]]], Any]:
    return lambda rows: scoring.from_json(CONTRACT, json.dumps({name: write(rows)}).encode())


def table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"columns": list(TYPES), "data": [[row[name] for name in TYPES] for row in rows]}


def as_csv(rows: list[dict[str, Any]]) -> Any:
    sink = io.StringIO()
    lines = csv.writer(sink)
    lines.writerow(TYPES)
    lines.writerows([[row[name] for name in TYPES] for row in rows])
    return scoring.from_csv(CONTRACT, sink.getvalue().encode())


def as_arrow(rows: list[dict[str, Any]]) -> Any:
    made = pa.table({name: pa.array(values, ARROW[TYPES[name]]) for name, values in columns_of(rows).items()})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return arrow.from_arrow(CONTRACT, sink.getvalue())


def as_binary(rows: list[dict[str, Any]]) -> Any:
    """Nulls only where NaN can stand for them."""
    inputs, tail = [], b""
    for name, values in columns_of(rows).items():
        datatype = DATATYPES[TYPES[name]]
        if datatype == "BYTES":
            raw = tensors.packed("BYTES", values)
        elif datatype == "BOOL":
            raw = bytes(values)
        else:
            floats = any(value is None for value in values)
            datatype = "FP64" if floats else datatype
            kind = pa.float64() if datatype == "FP64" else pa.int64()
            raw = (
                pa.array([float("nan") if value is None else value for value in values], kind).buffers()[1].to_pybytes()
            )
            raw = raw[: 8 * len(rows)]
        inputs.append(
            {"name": name, "datatype": datatype, "shape": [len(rows), 1], "parameters": {"binary_data_size": len(raw)}}
        )
        tail += raw
    head = json.dumps({"inputs": inputs}).encode()
    return tensors.read(CONTRACT, OUTPUT, head + tail, len(head)).rows


JSON_DOORS = {
    "tensors": tensor,
    "split": form("dataframe_split", table),
    "records": form("dataframe_records", lambda rows: rows),
    "instances": form("instances", lambda rows: rows),
    "inputs": form("inputs", columns_of),
}


def outcome(door: Callable[[Any], Any], rows: Any) -> Any:
    try:
        return door(rows)
    except Fault as fault:
        return fault.message if fault.status == 400 else fault


@settings(max_examples=150, deadline=None)
@given(whole)
def test_rows_of_the_right_types(rows: list[dict[str, Any]]) -> None:
    expected = outcome(plain, rows)
    doors = {**JSON_DOORS, "arrow": as_arrow, "csv": as_csv}
    if all(row[name] is not None for row in rows for name in ("c", "t")) and all(
        abs(row["j"] or 0) < 1 << 53 for row in rows
    ):
        doors["binary"] = as_binary
    for name, door in doors.items():
        assert outcome(door, rows) == expected, name


@settings(max_examples=200, deadline=None)
@given(spoilt)
def test_rows_with_values_that_are_wrong(given: Any) -> None:
    rows, changes = given
    for number, name, value in changes:
        rows[number % len(rows)][name] = value
    expected = outcome(plain, rows)
    for name, door in JSON_DOORS.items():
        if not any(isinstance(value, list) for _, _, value in changes):
            assert outcome(door, rows) == expected, name


def test_what_is_counted() -> None:
    row = {"f": 1.0, "g": 11.0, "i": 1001, "j": -9, "s": "a", "c": "z", "b": True, "t": None}
    counts.clear()
    assert plain([row]) == [(1.0, 10.0, 1001, -2, "a", None, True, None)]
    assert counts == {
        ("g", "maximum", "clip"): 1,
        ("i", "maximum", "pass"): 1,
        ("j", "minimum", "clip"): 1,
        ("c", "category", "clip"): 1,
    }
    refusals = {
        "Row 0: the field 'f' is -2, less than the minimum of -1.": {"f": -2},
        "Row 0: the field 's' is 'q', which is none of: a, b, NaN.": {"s": "q"},
        "Row 0: the field 'f' may not be null; it is a number.": {"f": None},
        "Row 0: the field 'b' must be true or false, not an integer.": {"b": 1},
    }
    for sentence, change in refusals.items():
        assert outcome(plain, [{**row, **change}]) == sentence
    assert counts["f", "minimum", "reject"] == counts["s", "category", "reject"] == counts["f", "null", "reject"] == 1


def test_fields_that_are_unknown_may_be_ignored() -> None:
    ignoring = Rows(Signature((Column("f", "float"),), OUTPUT), None, None, 9, Options(unknown="ignore"))
    assert ignoring.from_plain(b'{"rows":[{"f":1,"x":{"deep":[1]}}]}') == [(1.0,)]
    assert scoring.from_json(ignoring, b'{"dataframe_split":{"columns":["x","f"],"data":[[5,1]]}}') == [(1.0,)]
    assert scoring.from_csv(ignoring, b"x,f\n5,1\n") == [(1.0,)]
    body = b'{"inputs":[{"name":"f","shape":[1],"datatype":"FP64","data":[1]},{"name":"x","shape":[1],"datatype":"FP64","data":[5]}]}'
    assert tensors.read(ignoring, OUTPUT, body).rows == [(1.0,)]
    with pytest.raises(Fault, match="missing"):
        ignoring.from_plain(b'{"rows":[{"x":1}]}')

"""A contract says which rule fails on how many rows, with examples, and passes what it should."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline import Contract, column
from loopline.core.errors import Invalid
from loopline.usecases.datasets.model import ContractReport, seconds

pytestmark = pytest.mark.unit

GOOD = pa.table(
    {
        "carrier": ["AA", "UA", "B6"],
        "distance": [100.0, 200.0, 300.0],
        "flight": [1, 2, 3],
        "at": pa.array([datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3)], pa.timestamp("us", "UTC")),
        "late": [True, False, None],
    }
)
FLIGHTS = Contract(
    columns=[
        column("carrier", "string", allowed=["AA", "UA", "B6"]),
        column("distance", "float", minimum=0, maximum=5000),
        column("flight", "integer", minimum=1),
        column("at", "timestamp", minimum="2013-01-01"),
        column("late", "boolean", nullable=True),
    ],
    unique=["flight"],
)


def changed(**columns: Any) -> pa.Table:
    table = GOOD
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def only(report: ContractReport) -> Any:
    assert len(report.broken) == 1, report.text()
    return report.broken[0]


def test_a_good_batch_passes() -> None:
    report = FLIGHTS.check(GOOD)
    assert report.ok
    assert report.rows == 3
    assert report.checked == 16


@pytest.mark.parametrize(
    ("columns", "rule", "rows", "words"),
    [
        ({"distance": [1.0, -2.0, -3.0]}, "minimum", 2, "distance: 2 of 3 rows are below 0"),
        ({"distance": [1.0, 9e9, 3.0]}, "maximum", 1, "above 5000"),
        ({"distance": [1.0, None, float("nan")]}, "missing", 2, "2 of 3 rows are empty and none may be"),
        ({"carrier": ["AA", "XX", "UA"]}, "allowed", 1, "none of AA, UA, B6"),
        ({"carrier": [1, 2, 3]}, "type", 3, "carrier: is int64, not string"),
        ({"flight": [1.5, 2.0, 3.0]}, "type", 3, "flight: is double, not integer"),
        ({"flight": [7, 7, 7]}, "unique", 2, "flight: 2 of 3 rows repeat"),
        ({"late": ["yes", "no", "no"]}, "type", 3, "not boolean"),
        ({"at": [date(2012, 12, 31), date(2013, 1, 1), date(2013, 1, 2)]}, "minimum", 1, "below 2013-01-01"),
        ({"at": ["2013", "2014", "2015"]}, "type", 3, "not timestamp"),
    ],
)
def test_a_broken_rule_is_named_with_its_rows(columns: dict[str, Any], rule: str, rows: int, words: str) -> None:
    broken = only(FLIGHTS.check(changed(**columns)))
    assert (broken.rule, broken.rows) == (rule, rows)
    assert words in broken.message


def test_examples_name_the_rows() -> None:
    broken = only(FLIGHTS.check(changed(distance=[1.0, -2.0, -3.0])))
    assert broken.examples == ("row 2: -2.0", "row 3: -3.0")
    assert "row 2: -2.0" in FLIGHTS.check(changed(distance=[1.0, -2.0, -3.0])).text()


def test_all_mistakes_come_at_once() -> None:
    report = FLIGHTS.check(changed(distance=[-1.0, 2.0, 3.0], carrier=["X", "X", "X"], flight=[1, 1, 0]))
    assert [line.rule for line in report.broken] == ["allowed", "minimum", "minimum", "unique"]


def test_missing_and_further_columns() -> None:
    assert only(FLIGHTS.check(GOOD.drop_columns(["late"]))).message == "late: the column is missing"
    more = GOOD.append_column("more", pa.array([1, 2, 3]))
    assert FLIGHTS.check(more).ok
    closed = msgspec.structs.replace(FLIGHTS, closed=True)
    assert only(closed.check(more)).rule == "closed"


def test_a_share_may_be_missing() -> None:
    contract = Contract(columns=[column("x", "float", max_missing=0.25)])
    assert contract.check(pa.table({"x": [1.0, 2.0, 3.0, None]})).ok
    assert "at most 25.0% may be" in only(contract.check(pa.table({"x": [1.0, 2.0, None, None]}))).message


def test_number_of_rows() -> None:
    contract = Contract(columns=[column("x", "integer")], minimum_rows=2, maximum_rows=3)
    assert only(contract.check(pa.table({"x": [1]}))).rule == "minimum_rows"
    assert only(contract.check(pa.table({"x": [1, 2, 3, 4]}))).rule == "maximum_rows"
    assert only(Contract(columns=[column("x", "integer")]).check(pa.table({"x": pa.array([], pa.int64())}))).rows == 0


def test_freshness() -> None:
    contract = Contract(columns=[column("at", "timestamp")], fresh_by="at", fresh_within="36h")
    table = pa.table({"at": pa.array([datetime(2013, 1, day, tzinfo=UTC) for day in (1, 3)])})
    assert contract.check(table, now="2013-01-04T11:00:00Z").ok
    assert only(contract.check(table, now="2013-01-04T13:00:00Z")).rule == "fresh"
    assert not contract.check(table).ok


def test_kinds_that_hold_the_same_values_pass() -> None:
    whole = Contract(columns=[column("x", "integer", nullable=True)])
    assert whole.check(pa.table({"x": [1.0, None, 3.0]})).ok
    assert whole.check(pa.table({"x": pa.nulls(3)})).ok
    assert Contract(columns=[column("x", "float", minimum=0)]).check(pa.table({"x": [1, 2]})).ok
    words = Contract(columns=[column("x", "string", allowed=["a"])])
    assert words.check(pa.table({"x": pa.array(["a", "a"]).dictionary_encode()})).ok


def test_pandas_and_polars_frames_are_tables() -> None:
    contract = Contract(columns=[column("x", "integer", minimum=2)])
    for table in (pd.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [1, 2]}), pa.record_batch({"x": [1, 2]})):
        assert only(contract.check(table)).rows == 1
    with pytest.raises(Invalid, match="no table"):
        contract.check("rows")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: column("x", "text"),  # type: ignore[arg-type]
        lambda: column("x", "float", max_missing=2),
        lambda: Contract(columns=[column("x", "float"), column("x", "float")]),
        lambda: Contract(columns=[column("x", "float")], unique=["y"]),
        lambda: Contract(columns=[column("x", "float")], fresh_by="x"),
        lambda: Contract(columns=[column("x", "timestamp")], fresh_by="x", fresh_within="soon"),
        lambda: column("x", "string", minimum=3),
        lambda: column("x", "float", minimum="a"),
        lambda: column("x", "boolean", minimum=0),
        lambda: column("x", "timestamp", minimum="soon"),
        lambda: column("x", "integer", allowed=["a"]),
    ],
)
def test_a_contract_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(Invalid):
        wrong()


def test_a_contract_travels_as_data() -> None:
    assert msgspec.json.decode(msgspec.json.encode(FLIGHTS), type=Contract).check(GOOD).ok


def test_durations() -> None:
    assert [seconds(text) for text in ("30m", "36h", "7 days", "2w")] == [1800, 129600, 604800, 1209600]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=40), st.floats(-1e6, 1e6))
def test_counts_equal_a_plain_count(values: list[float | None], minimum: float) -> None:
    contract = Contract(columns=[column("x", "float", nullable=True, minimum=minimum)])
    report = contract.check(pa.table({"x": pa.array(values, pa.float64())}))
    expected = sum(value is not None and value < minimum for value in values)
    assert sum(line.rows for line in report.broken) == expected

"""Rows of every type through both protocols, without a process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loopline.core.tables import Column, Signature
from loopline.shells.dataplane.answers import Fault
from loopline.shells.dataplane.rows import Rows, ms_of_time
from loopline.shells.dataplane.tensors import read
from loopline.usecases.serving.records.writing import NO_TIME

pytestmark = pytest.mark.unit

SIGNATURE = Signature(
    (
        Column("at.time", "timestamp"),
        Column("seats", "integer", True),
        Column("class", "string"),
        Column("x y", "float"),
    ),
    Column("y", "float"),
)


def rows(key: str | None = None, event_time: str | None = None) -> Rows:
    return Rows(SIGNATURE, key, event_time, 100)


def plain(contract: Rows, **row: Any) -> Any:
    given = {"at.time": "2013-04-01T12:00:00+02:00", "seats": None, "class": "b", "x y": 1, **row}
    return contract.from_plain(json.dumps({"rows": [given]}).encode())


def test_times_become_text_in_utc_and_names_may_be_anything() -> None:
    assert plain(rows()) == [("2013-04-01T10:00:00.000Z", None, "b", 1.0)]


@pytest.mark.parametrize("name", ['5" pipe', "a\\b", "a\nb", "\x00", "größe", "日本", "$", "<b>"])
def test_a_name_may_hold_any_character(name: str) -> None:
    signature = Signature((Column(name, "integer"), Column("n", "float", True)), Column("y", "float"))
    contract = Rows(signature, None, None, 2)

    def taken(*given: Any) -> Any:
        body = json.dumps({"rows": list(given)}).encode()
        found = contract.quick(body)
        return contract.from_plain(body) if found is None else found

    assert taken({name: 3, "n": None}, {"n": 1, name: 4.0}) == [(3, None), (4, 1.0)]
    for wrong, said in (
        ({name: "a", "n": 1}, "must be an integer"),
        ({"n": 1}, "missing"),
        ({name: 1, "n": 1, "z": 1}, "unknown"),
    ):
        with pytest.raises(Fault, match=said):
            taken(wrong)
    for body in (b"", b"[]", b"{}", b'{"rows": []}', b'{"rows": 5}', b'{"rows": [1]}', b'{"rows": [{}, {}, {}]}'):
        with pytest.raises(Fault) as refused:
            contract.from_plain(body)
        assert refused.value.status == 400


def test_key_and_event_time_beside_or_among_the_inputs() -> None:
    beside = rows("flight", "departs")
    assert (beside.key_at, beside.event_at) == (4, 5)
    assert plain(beside, flight=7)[0][4:] == (7, None)
    among = rows("class", "at.time")
    assert (among.extra, among.key_at, among.event_at) == ([], 2, 0)
    assert ms_of_time(plain(among)[0][0]) == 1_364_810_400_000


def test_times_at_the_ends_of_the_calendar() -> None:
    for text in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        with pytest.raises(Fault, match=r"Row 0: the field 'at.time' is out of range\."):
            plain(rows(), **{"at.time": text})
    assert plain(rows(None, "departs"), departs="0001-01-01T00:00:00+23:59")


def test_an_event_time_that_is_no_time() -> None:
    assert [ms_of_time(value) for value in (None, "soon", 5)] == [NO_TIME] * 3


def test_the_named_field_may_hold_dots_and_spaces() -> None:
    for name in ("at.time", "x y"):
        with pytest.raises(Fault, match=f"the field '{name}' may not be null"):
            plain(rows(), **{name: None})
    with pytest.raises(Fault, match=r"the field 'a`b' is unknown"):
        plain(rows(), **{"a`b": 1})


def test_tensors_of_every_type() -> None:
    def tensor(name: str, datatype: str, *data: Any) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}

    inputs = [
        tensor("at.time", "BYTES", "2013-04-01T12:00:00Z", "2013-04-01"),
        tensor("seats", "INT64", None, 5),
        tensor("class", "BYTES", "a", "b"),
        tensor("x y", "INT32", 1, 2),
        tensor("flight", "INT64", 1, 2),
    ]
    contract = rows("flight", "departs")
    with pytest.raises(Fault, match="Row 1: the field 'at.time' must be a time".replace(".", r"\.")):
        read(contract, SIGNATURE.output, json.dumps({"inputs": inputs}).encode())
    inputs[0]["data"] = ["2013-04-01T12:00:00Z"] * 2
    found = read(contract, SIGNATURE.output, json.dumps({"inputs": inputs}).encode()).rows
    assert found[1] == ("2013-04-01T12:00:00.000Z", 5, "b", 2.0, 2, None)

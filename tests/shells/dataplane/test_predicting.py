"""Both protocols: answers, ids, the log, and a refusal that names what is wrong."""

from __future__ import annotations

import time
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

pytestmark = pytest.mark.integration
INFER = "/v2/models/late/infer"


def tensors(rows: int = 1, **changed: Any) -> dict[str, Any]:
    given = {
        "dep_hour": ("FP64", 7.5), "distance": ("INT64", 1400), "temp": ("FP32", None), "carrier": ("BYTES", "UA"),
        "holiday": ("BOOL", False),
    }  # fmt: skip
    inputs = [
        {"name": name, "datatype": kind, "shape": [rows], "data": [value] * rows}
        for name, (kind, value) in given.items()
    ]
    for each in inputs:
        each.update(changed.get(each["name"], {}))  # type: ignore[call-overload]
    return {"inputs": inputs}


def test_one_row(shared: Router) -> None:
    status, said = shared.predict()
    assert status == 200
    assert (said["predictions"], said["version"], said["revision"]) == ([107.5], 1, 1)
    record = shared.record(said["ids"][0])
    assert {name: record[name] for name in ROW} == ROW
    assert (record["prediction"], record["model"], record["version"]) == (107.5, "flights", 1)


def test_several_rows_with_key_and_event_time(shared: Router) -> None:
    rows = [
        {**ROW, "flight": "UA1", "departs": "2013-04-01T12:00:00Z"},
        {**ROW, "flight": 2, "departs": "2013-04-01T12:00:00+02:00"},
        {**ROW, "flight": None, "departs": "2013-04-01 12:00:00"},
        ROW,
    ]
    status, said = shared.predict(*rows)
    assert status == 200
    assert [name.partition("-")[2] for name in said["ids"]] == ["0", "1", "2", "3"]
    found = [shared.record(name) for name in said["ids"]]
    assert [row["key"] for row in found] == ["UA1", "2", None, None]
    hours = [row["event_time"] and row["event_time"][11:13] for row in found]
    assert hours == ["12", "10", "12", None]


def test_open_inference_protocol(shared: Router) -> None:
    status, said = shared.ask("POST", INFER, {**tensors(2), "id": 'a "b" ü'})
    assert status == 200
    assert (said["model_name"], said["model_version"], said["id"]) == ("late", "1", 'a "b" ü')
    assert said["outputs"] == [{"name": "late", "datatype": "FP64", "shape": [2], "data": [107.5, 107.5]}]
    name = said["parameters"]["prediction_id"]
    assert shared.record(f"{name}-1")["prediction"] == 107.5
    column = {"shape": [2, 1], "data": [[1.0], [2]]}
    assert shared.ask("POST", INFER, tensors(2, dep_hour=column))[1]["outputs"][0]["data"] == [101.0, 102.0]
    assert shared.ask("POST", "/v2/models/late/versions/1/infer", tensors())[0] == 200


def test_an_id_of_one_row_is_found_with_and_without_its_number(shared: Router) -> None:
    _, said = shared.ask("POST", INFER, tensors())
    name = said["parameters"]["prediction_id"]
    assert shared.record(f"{name}-0")["id"] == shared.record(name)["id"] == name


def test_what_the_endpoint_says_of_itself(shared: Router) -> None:
    _, said = shared.ask("GET", "/v2/models/late")
    assert [(each["name"], each["datatype"]) for each in said["inputs"]][:2] == [
        ("dep_hour", "FP64"),
        ("distance", "INT64"),
    ]
    assert shared.ask("GET", "/v2/models/late/ready")[1]["ready"] is True
    assert shared.ask("GET", "/v2/health/ready")[0] == 200
    assert shared.ask("GET", "/v2")[1]["name"] == "loopline"
    assert shared.ask("GET", "/health", token=None) == (200, {"status": "ok"})


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**ROW, **fields}.items() if value != "left out"}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (changed(carrier="left out"), "Row 0: the field 'carrier' is missing."),
        (changed(colour="red"), "Row 0: the field 'colour' is unknown."),
        (changed(dep_hour="7"), "Row 0: the field 'dep_hour' must be a number, not text."),
        (changed(dep_hour=True), "Row 0: the field 'dep_hour' must be a number, not true or false."),
        (changed(dep_hour=None), "Row 0: the field 'dep_hour' may not be null; it is a number."),
        (changed(distance=1.5), "Row 0: the field 'distance' must be an integer, not a number with a fraction."),
        (changed(distance=2**70), "Row 0: the field 'distance' is too large for an integer."),
        (changed(carrier=["UA"]), "Row 0: the field 'carrier' must be text, not a list."),
        (changed(holiday=1), "Row 0: the field 'holiday' must be true or false, not an integer."),
        (changed(departs="noon"), "Row 0: the field 'departs' must be a time as in 2013-04-01T12:00:00Z."),
        (changed(departs=5), "Row 0: the field 'departs' must be a time as in 2013-04-01T12:00:00Z, not an integer."),
        (changed(flight=1.5), "Row 0: the field 'flight' must be text or an integer, not a number with a fraction."),
        (5, "Row 0: it is not an object: expected 'object', got 'int'."),
    ],
)
def test_a_wrong_row_is_refused_by_the_name_of_its_field(shared: Router, row: Any, sentence: str) -> None:
    status, said = shared.ask("POST", "/v1/endpoints/late/predict", {"rows": [row]})
    assert (status, said["error"]) == (400, sentence)
    assert said["hint"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "The field 'rows' is missing."),
        ({"rows": []}, "There are no rows in the request."),
        ({"rows": [ROW], "x": 1}, "The field 'x' is unknown beside 'rows'."),
        ([ROW], "The body is not an object with 'rows': expected 'object', got 'array'."),
        ({"rows": [ROW] * 10_001}, "A request may have 10000 rows."),
        ({"rows": [ROW, {**ROW, "temp": "x"}]}, "Row 1: the field 'temp' must be a number, not text."),
    ],
)
def test_a_wrong_body_is_refused(shared: Router, body: Any, sentence: str) -> None:
    status, said = shared.ask("POST", "/v1/endpoints/late/predict", body)
    assert (status, said["error"]) == (400, sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"inputs": tensors()["inputs"][1:]}, "The input 'dep_hour' is missing."),
        ({"inputs": [*tensors()["inputs"], {"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]},
         "The input 'x' is unknown."),
        ({"inputs": tensors()["inputs"] * 2}, "The input 'dep_hour' is there twice."),
        (tensors(dep_hour={"datatype": "BYTES", "data": ["7"]}), "The input 'dep_hour' has the datatype 'BYTES'."),
        (tensors(dep_hour={"data": ["7"]}), "Row 0: the field 'dep_hour' must be a number, not text."),
        (tensors(dep_hour={"data": [True]}), "Row 0: the field 'dep_hour' must be a number, not true or false."),
        (tensors(dep_hour={"data": [None]}), "Row 0: the field 'dep_hour' may not be null; it is a number."),
        (tensors(distance={"datatype": "INT32", "data": [2**40]}), "Row 0: the field 'distance' is too large for an integer."),
        (tensors(dep_hour={"shape": [1, 5]}), "The input 'dep_hour' has the shape [1, 5]."),
        (tensors(dep_hour={"shape": []}), "The input 'dep_hour' has the shape []."),
        (tensors(dep_hour={"shape": [2]}), "The input 'dep_hour' has 1 values but the shape [2]."),
        (tensors(dep_hour={"shape": [2], "data": [1, 2]}), "The inputs have different numbers of rows."),
        (tensors(dep_hour={"shape": [1, 1], "data": [[1, 2]]}), "The input 'dep_hour' has rows that are not of length 1."),
        (tensors(0), "There are no rows in the request."),
        ({"inputs": []}, "There are no rows in the request."),
        ({"inputs": 5}, "inputs: expected 'array', got 'int'."),
        ({}, "The body: object missing required field 'inputs'."),
    ],
)  # fmt: skip
def test_wrong_tensors_are_refused(shared: Router, body: Any, sentence: str) -> None:
    status, said = shared.ask("POST", INFER, body)
    assert (status, said["error"]) == (400, sentence)


def test_a_row_that_the_model_refuses_spoils_no_other(shared: Router) -> None:
    status, said = shared.predict(ROW, {**ROW, "dep_hour": -1.0}, ROW)
    assert (status, said["error"]) == (422, "Row 1: the model could not score this row: ValueError: negative hours")
    assert shared.predict()[0] == 200


def test_who_may_do_what(shared: Router) -> None:
    viewer = shared.opened.access.new("viewer", "viewer", "tester").secret
    truth = {"rows": [{"prediction_id": "0" * 21, "value": 1}]}
    assert shared.ask("POST", "/v1/endpoints/late/predict", {"rows": [ROW]}, viewer)[0] == 200
    assert shared.ask("GET", "/metrics", token=viewer)[0] == 200
    assert shared.ask("POST", "/v1/endpoints/late/truth", truth, viewer)[0] == 403
    for path in ("/metrics", "/v2", "/v2/models/late", "/v2/health/live", "/nothing"):
        assert shared.ask("GET", path, token=None)[0] == 401
    shared.opened.access.revoke("viewer", "tester")
    until = time.monotonic() + 20
    while shared.ask("POST", "/v1/endpoints/late/predict", {"rows": [ROW]}, viewer)[0] != 401:
        assert time.monotonic() < until


def test_metrics(shared: Router) -> None:
    shared.predict()
    status, text = shared.ask("GET", "/metrics")
    assert status == 200
    assert 'loopline_requests_total{endpoint="late",revision="1",status="200"}' in text
    assert 'loopline_request_seconds_bucket{endpoint="late",revision="1",le="+Inf"}' in text
    assert "loopline_log_lag_seconds" in text


def test_truth_is_on_disk_when_it_is_answered(shared: Router) -> None:
    name = shared.predict()[1]["ids"][0]
    rows = [
        {"prediction_id": name, "value": 1, "observed_at": "2013-04-01T15:00:00Z"},
        {"prediction_id": f"{name}-0", "value": True},
        {"key": "UA1", "event_time": "2013-04-01T12:00:00Z", "value": 0.0},
    ]
    status, said = shared.ask("POST", "/v1/endpoints/late/truth", {"rows": rows})
    assert (status, said["accepted"]) == (200, 3)
    found = [row for row in shared.serving.read_truth("late").to_pylist() if row["seq"] >= said["first_seq"]]
    assert [row["prediction_id"] for row in found] == [name, name, None]
    assert [row["value"] for row in found] == [1.0, 1.0, 0.0]
    assert found[2]["key"] == "UA1"
    assert found[0]["observed_at"].isoformat() == "2013-04-01T15:00:00+00:00"


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"prediction_id": "x", "value": 1}, "row 1: 'x' is not a prediction id"),
        ({"prediction_id": "0" * 21}, "row 1: Object missing required field 'value'"),
        ({"prediction_id": "0" * 21, "value": "1"}, "'value'"),
        ({"value": 1}, "row 1: it has neither a prediction_id nor a key with event_time"),
        ({"value": 1, "key": "UA1"}, "row 1: it has neither a prediction_id nor a key with event_time"),
        ({"value": 1, "key": "UA1", "prediction_id": "0" * 21}, "row 1: it has both a prediction_id and a key"),
        ({"value": 1, "prediction_id": "0" * 21, "extra": 1}, "unknown field 'extra'"),
        ({"value": 1, "prediction_id": "0" * 21, "observed_at": "yesterday"}, "'observed_at'"),
    ],
)
def test_wrong_truth_is_refused_as_a_whole(shared: Router, row: Any, part: str) -> None:
    before = shared.serving.read_truth("late").num_rows
    good = {"prediction_id": "0" * 21, "value": 1}
    status, said = shared.ask("POST", "/v1/endpoints/late/truth", {"rows": [good, row]})
    assert status == 400
    assert said["error"].startswith("Nothing was taken: row 1: ")
    assert part in said["error"]
    assert shared.serving.read_truth("late").num_rows == before


def test_the_commands_reach_the_router(shared: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from loopline.shells.sdk.client import Local
    from loopline.usecases.serving import cli

    class Screen:
        client, json, shown = Local(shared.opened, "ann"), True, None

        def show(self, data: Any, table: Any = None, text: str | None = None, title: str | None = None) -> None:
            self.shown = data

    screen = Screen()
    monkeypatch.setenv("LOOPLINE_TOKEN", TOKEN)
    fields = [f"{name}={value}" for name, value in {**ROW, "temp": 1.5, "holiday": "false"}.items()]
    CliRunner().invoke(cli.predict, ["late", *fields], obj=screen, catch_exceptions=False)
    assert screen.shown["predictions"] == [107.5]  # type: ignore[index]
    name = screen.shown["ids"][0]  # type: ignore[index]
    CliRunner().invoke(cli.truth, ["late", name, "1"], obj=screen, catch_exceptions=False)
    assert screen.shown["accepted"] == 1  # type: ignore[index]

"""MLflow's scoring forms: by hand, and by MLflow's own clients."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataplane_doubles import ROW
from dataplane_router import TOKEN, Router

sys.path.insert(0, str(Path(__file__).parents[2] / "compat"))
import peers

pytestmark = pytest.mark.integration
ACTS = Path(__file__).parents[2] / "compat" / "scoring_acts.py"
AT = "/endpoints/late/invocations"
NAMES, VALUES = list(ROW), list(ROW.values())
COLUMNS = {name: [value, value] for name, value in ROW.items()}


@pytest.mark.parametrize("path", [AT, "/invocations"])
def test_the_addresses(shared: Router, path: str) -> None:
    assert shared.ask("POST", path, {"dataframe_records": [ROW]}) == (200, {"predictions": [107.5]})


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": NAMES, "data": [VALUES, VALUES]}},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [VALUES[::-1]] * 2, "index": [5, 6]}},
        {"dataframe_split": {"data": [VALUES, VALUES]}},
        {"dataframe_records": [ROW, ROW]},
        {"instances": [ROW, ROW], "signature_name": "x"},
        {"instances": [{name: [value] for name, value in ROW.items()}] * 2},
        {"instances": [VALUES, VALUES]},
        {"inputs": COLUMNS},
        {"inputs": {name: [[value] for value in values] for name, values in COLUMNS.items()}},
        {"inputs": [ROW, ROW], "params": {"any": [1]}},
    ],
)
def test_every_form(shared: Router, body: Any) -> None:
    assert shared.ask("POST", AT, body) == (200, {"predictions": [107.5, 107.5]})


def test_a_scalar_for_each_column_is_one_row(shared: Router) -> None:
    assert shared.ask("POST", AT, {"inputs": ROW}) == (200, {"predictions": [107.5]})


@pytest.mark.parametrize(
    "text",
    [
        "dep_hour,distance,temp,carrier,holiday\n7.5,1400,,UA,False\n1,100.0,20,,true\n",
        '\ufeff,carrier,holiday,"temp",distance,dep_hour\r\n0,UA,FALSE,NaN,1400,7.5\r\n1,"U,A",True,2e1,100,1.0\r\n',
    ],
)
def test_csv(shared: Router, text: str) -> None:
    status, said = shared.ask("POST", AT, text.encode(), **{"Content-Type": "text/csv; charset=utf-8"})
    assert (status, said) == (200, {"predictions": [107.5, 101.0]})


def test_the_id_is_in_a_header_and_rows_are_in_the_log(shared: Router) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", AT, json.dumps({"inputs": COLUMNS}), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    name = answer.headers["x-loopline-prediction-id"]
    assert shared.record(f"{name}-1")["dep_hour"] == 7.5


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "The body has none of dataframe_split, dataframe_records, instances, inputs."),
        ({"inputs": [], "instances": []}, "The body has instances and inputs."),
        ({"inputs": []}, "There are no rows in the request."),
        ({"dataframe_records": [ROW, {**ROW, "temp": "x"}]}, "Row 1: the field 'temp' must be a number, not text."),
        ({"dataframe_records": [{**ROW, "x": 1}]}, "Row 0: the field 'x' is unknown."),
        ({"dataframe_records": [{}]}, "Row 0: the field 'dep_hour' is missing."),
        ({"dataframe_records": ROW}, "The body: expected 'array', got 'object'."),
        (
            {"dataframe_split": {"columns": NAMES, "data": [VALUES, VALUES[1:]]}},
            "Row 1: it has 4 values for 5 columns.",
        ),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 1]]}}, "The column 'a' is there twice."),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, "The input 'a' is unknown."),
        ({"inputs": {**COLUMNS, "temp": [1]}}, "The inputs have different numbers of rows."),
        ({"inputs": {**COLUMNS, "temp": [[1, 2], 3]}}, "Row 0: the field 'temp' must be a number, not a list."),
        ({"inputs": [ROW] * 10_001}, "A request may have 10000 rows."),
        ({"instances": [VALUES, 5]}, "Row 1: it has 1 values for 5 columns."),
    ],
)
def test_what_is_wrong_is_named(shared: Router, body: Any, sentence: str) -> None:
    status, said = shared.ask("POST", AT, body)
    assert (status, said["error"]) == (400, sentence)


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b"dep_hour\n1,2\n", "text/csv", 400, "Row 0: it has 2 values for 1 columns."),
        (b'dep_hour\n"1', "text/csv", 400, "The body is not CSV: unexpected end of data."),
        (b"dep_hour\n\xff\n", "text/csv", 400, "The body is not text in UTF-8."),
        (b"", "text/csv", 400, "There are no rows in the request."),
        (
            b"dep_hour,distance,temp,carrier,holiday\nx,1,1,UA,true\n",
            "text/csv",
            400,
            "Row 0: the field 'dep_hour' must be a number, not text.",
        ),
        (b"a", "application/vnd.apache.parquet", 415, "The body is declared neither as JSON nor as CSV."),
        (b"a", "text/csv; charset=latin-1", 415, "The body is not declared as UTF-8."),
    ],
)
def test_wrong_text(shared: Router, content: bytes, kind: str, status: int, sentence: str) -> None:
    found = shared.ask("POST", AT, content, **{"Content-Type": kind})
    assert (found[0], found[1]["error"]) == (status, sentence)


def test_where_there_are_two_endpoints(router: Router) -> None:
    router.start()
    router.deploy(1)
    assert router.ask("POST", "/invocations", {"inputs": ROW})[0] == 200
    router.deploy(2, "early")
    status, said = router.ask("POST", "/invocations", {"inputs": ROW})
    assert (status, said["error"]) == (404, "/invocations needs exactly one endpoint; there are 2.")
    assert router.ask("POST", "/endpoints/early/invocations", {"inputs": ROW})[1] == {"predictions": [207.5]}


def test_mlflow_s_own_clients(shared: Router) -> None:
    command = [peers.python_of("mlflow-3"), str(ACTS), str(shared.port), TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    kinds = ("frame", "params", "columns", "rows", "lists", "instances", "records")
    assert {str(said[kind]) for kind in kinds} == {"[107.5, 101.0]"}
    assert said["table"] == [2, 1]
    assert said["deployments"] == {"predictions": [107.5, 101.0]}
    assert "The input 'distance' is missing." in said["refusal"]

"""The stock HTTP client of the Open Inference Protocol against the router."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataplane_router import TOKEN, Router

sys.path.insert(0, str(Path(__file__).parents[2] / "compat"))
import peers

pytestmark = pytest.mark.integration
ACTS = Path(__file__).parents[2] / "compat" / "triton_http_acts.py"


@pytest.fixture(scope="module")
def told(shared: Router) -> Any:
    command = [peers.python_of("triton"), str(ACTS), f"127.0.0.1:{shared.port}", TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_health_and_metadata(told: Any) -> None:
    ready = [told[name] for name in ("live", "ready", "model ready", "version ready", "other version ready")]
    assert ready == [True, True, True, True, False]
    assert told["server"]["extensions"] == ["binary_tensor_data"]
    inputs = {each["name"]: each["datatype"] for each in told["model"]["inputs"]}
    assert inputs == {"dep_hour": "FP64", "distance": "INT64", "temp": "FP64", "carrier": "BYTES", "holiday": "BOOL"}
    assert told["model"]["outputs"] == [{"name": "late", "datatype": "FP64", "shape": [-1]}]


def test_json_and_binary_in_both_directions(told: Any) -> None:
    kinds = ("infer 00", "infer 01", "infer 10", "infer 11", "all outputs", "gzip")
    assert {str(told[kind]) for kind in kinds} == {"[107.5, 101.0]"}
    assert told["id"] == "mine"
    assert told["beside"] == [[107.5, 101.0]] * 8


def test_every_number_that_loses_nothing(told: Any) -> None:
    assert told["FP16"] == [107.5, 101.0]
    for bits in (8, 16, 32):
        assert told[f"INT{bits}"] == told[f"UINT{bits}"] == [107.0, 101.0]
    assert told["UINT64"] == [107.0, 101.0]


def test_errors_reach_the_client_as_sentences(told: Any) -> None:
    assert told["errors"] == {
        "model": ["404", "There is nothing at /v2/models/none/infer."],
        "output": ["400", "The model has no output 'x'."],
        "classes": ["400", "The output 'late' cannot be turned into classes."],
        "input": ["400", "The input 'dep_hour' is missing."],
        "deflate": ["415", "The content encoding 'deflate' is not taken here."],
        "token": ["401", "The request carries no token."],
    }

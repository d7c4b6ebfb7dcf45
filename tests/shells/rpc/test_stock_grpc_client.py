"""The stock gRPC client of the Open Inference Protocol against us, and its messages beside ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataplane_router import TOKEN

from loopline.shells.rpc.messages import MESSAGES, METHODS, NOT_HERE, message

sys.path.insert(0, str(Path(__file__).parents[2] / "compat"))
import peers

pytestmark = pytest.mark.integration
ACTS = Path(__file__).parents[2] / "compat" / "triton_grpc_acts.py"


@pytest.fixture(scope="module")
def told(rpc: Any) -> Any:
    command = [peers.python_of("triton"), str(ACTS), rpc.address, TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_health_and_metadata(told: Any) -> None:
    assert [told[name] for name in ("live", "ready", "model ready", "version ready")] == [True] * 4
    assert told["server"]["name"] == "loopline"
    inputs = {each["name"]: each["datatype"] for each in told["model"]["inputs"]}
    assert inputs == {"dep_hour": "FP64", "distance": "INT64", "temp": "FP64", "carrier": "BYTES", "holiday": "BOOL"}


def test_predictions(told: Any, rpc: Any) -> None:
    assert {str(told[kind]) for kind in ("infer", "version", "parameters", "gzip", "FP16")} == {"[107.5, 101.0]"}
    assert told["INT8"] == told["UINT16"] == told["INT32"] == [107.0, 101.0]
    assert told["later"] == [[107.5, 101.0]] * 8
    assert (told["id"], told["raw"]) == ("mine", 1)
    assert rpc.router.record(f"{told['prediction']}-0")["prediction"] == 107.5


def test_refusals(told: Any) -> None:
    codes = {name: code for name, (code, _) in told["refused"].items()}
    assert codes == {
        "no token": "StatusCode.UNAUTHENTICATED",
        "no such endpoint": "StatusCode.NOT_FOUND",
        "no such version": "StatusCode.NOT_FOUND",
        "missing input": "StatusCode.INVALID_ARGUMENT",
        "wrong type": "StatusCode.INVALID_ARGUMENT",
        "index": "StatusCode.UNIMPLEMENTED",
        "load": "StatusCode.UNIMPLEMENTED",
        "unload": "StatusCode.UNIMPLEMENTED",
        "statistics": "StatusCode.UNIMPLEMENTED",
    }
    assert "dep_hour" in told["refused"]["missing input"][1]
    assert "loopline deploy" in told["refused"]["load"][1]


def described(descriptor: Any) -> dict[str, Any]:
    return {
        field.name: [
            field.number,
            field.type,
            field.is_repeated,
            described(field.message_type) if field.message_type else None,
        ]
        for field in descriptor.fields
    }


@pytest.mark.parametrize("name", [name for name in MESSAGES if "." not in name])
def test_a_message_is_the_clients(told: Any, name: str) -> None:
    """Name, number, type and label of each field, and of those of the messages inside."""
    assert json.loads(json.dumps(described(message(name).DESCRIPTOR))) == told["messages"][name]


def test_the_calls_are_the_clients(told: Any) -> None:
    assert {*METHODS, *NOT_HERE} <= set(told["methods"])

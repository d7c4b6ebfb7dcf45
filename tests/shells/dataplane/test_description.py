"""The description of an endpoint: valid by a stock validator, and enough for a stock generator of clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from dataplane_doubles import ROW, SIGNATURE
from dataplane_router import TOKEN, Router

from loopline.shells.dataplane.description import described, row_schema
from loopline.shells.dataplane.limits import Limits
from loopline.usecases.serving.options import Options, Range

pytestmark = pytest.mark.integration
AT = "/v1/endpoints/late/openapi.json"
RANGES = {
    "dep_hour": Range(minimum=2, maximum=24),
    "temp": Range(maximum=50, otherwise="clip"),
    "carrier": Range(categories=("UA", "DL", "ua")),
}

USE = """
import sys
from endpoint_late_client import AuthenticatedClient
from endpoint_late_client.api.default import infer, metadata, predict, send_truth
from endpoint_late_client.models import *

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
row = Row(dep_hour=7.5, distance=1400, temp=None, carrier="UA", holiday=False, flight="UA1")
answer = predict.sync(client=client, body=PredictRequest(rows=[row, row]))
assert answer.predictions == [107.5, 107.5], answer
truth = TruthRequest(rows=[TruthRow(prediction_id=answer.ids[0], value=1.0)])
assert send_truth.sync(client=client, body=truth).accepted == 1
row.dep_hour = "7"
refusal = predict.sync(client=client, body=PredictRequest(rows=[row]))
assert isinstance(refusal, Error) and "dep_hour" in refusal.error, refusal
assert predict.sync_detailed(client=AuthenticatedClient(base_url=sys.argv[1], token="x"), body=PredictRequest(rows=[row])).status_code == 401
inputs = [InputTensor(name=each.name, shape=[1], datatype=InputTensorDatatype(each.datatype), data=[value])
          for each, value in zip(metadata.sync(client=client).inputs, [7.5, 1400, 1.0, "UA", False])]
assert infer.sync(client=client, body=InferRequest(inputs=inputs)).outputs[0].data == [107.5]
print("done")
"""


def valid(document: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from openapi_spec_validator import OpenAPIV31SpecValidator

        OpenAPIV31SpecValidator(document).validate()


def test_it_is_valid(shared: Router) -> None:
    status, document = shared.ask("GET", AT)
    assert (status, document["openapi"]) == (200, "3.1.0")
    valid(document)
    assert "/v1/endpoints/late/predict" in document["paths"]
    valid(described("late", SIGNATURE, 3, "flight", None, Options(ranges=RANGES, unknown="ignore"), Limits()))


def test_its_examples_are_taken(shared: Router) -> None:
    _, document = shared.ask("GET", AT)
    tried = 0
    for path, methods in document["paths"].items():
        for operation in methods.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            for example in (body or {}).get("examples", {}).values():
                assert shared.ask("POST", path, example["value"])[0] == 200, path
                tried += 1
    assert tried == 4


def test_rows_are_described_as_they_are_checked() -> None:
    schema = row_schema(SIGNATURE.inputs, "flight", None, Options(ranges=RANGES))
    check = jsonschema.Draft202012Validator(schema)
    assert check.is_valid(ROW)
    assert check.is_valid({**ROW, "flight": 7, "carrier": None, "temp": 99})
    for wrong in ({"dep_hour": 1}, {"dep_hour": "7"}, {"distance": 1.5}, {"holiday": None}, {"x": 1}):
        assert not check.is_valid({**ROW, **wrong}), wrong
    assert "UA" in schema["properties"]["carrier"]["description"]  # no names could be made of UA and ua
    assert "clip" in schema["properties"]["temp"]["description"]
    distinct = row_schema(SIGNATURE.inputs, None, None, Options(ranges={"carrier": Range(categories=("UA", "DL"))}))
    assert not jsonschema.Draft202012Validator(distinct).is_valid({**ROW, "carrier": "AA"})


def test_a_generated_client_asks_a_real_endpoint(shared: Router, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(shared.ask("GET", AT)[1]))
    folder = tmp_path / "client"
    tools = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = [str(tools / "openapi-python-client"), "generate", "--path", str(document), "--output-path", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert made.returncode == 0, made.stdout + made.stderr
    (tmp_path / "use.py").write_text(USE)
    used = subprocess.run(
        [sys.executable, str(tmp_path / "use.py"), f"http://127.0.0.1:{shared.port}", TOKEN],
        capture_output=True, text=True, timeout=120, check=False, env={**environment, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    assert (used.stdout.strip(), used.returncode) == ("done", 0), used.stderr

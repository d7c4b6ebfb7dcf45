"""What the stock HTTP client of the Open Inference Protocol says of a server: one JSON document on standard output.

python triton_http_acts.py HOST:PORT TOKEN
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton

COLUMNS = {
    "dep_hour": ("FP64", np.float64, [7.5, 1.0]),
    "distance": ("INT64", np.int64, [1400, 100]),
    "temp": ("FP32", np.float32, [float("nan"), 20.0]),
    "carrier": ("BYTES", np.object_, ["UA", "Ünited"]),
    "holiday": ("BOOL", np.bool_, [False, True]),
}


def inputs(binary: bool, **kinds: tuple[str, Any]) -> list[triton.InferInput]:
    """All inputs of the test's model, as binary data or as JSON."""
    made = []
    for name, (datatype, kind, values) in COLUMNS.items():
        datatype, kind = kinds.get(name, (datatype, kind))
        given = values if binary or name != "temp" else [1.0, 20.0]  # JSON has no NaN
        tensor = triton.InferInput(name, [len(given), 1], datatype)
        tensor.set_data_from_numpy(np.array(given, dtype=kind).reshape(-1, 1), binary_data=binary)
        made.append(tensor)
    return made


def told(client: Any, headers: dict[str, str]) -> dict[str, Any]:
    """Answers of every kind that the client can ask for. It writes into the headers that it is given."""
    found: dict[str, Any] = {
        "live": client.is_server_live(headers=dict(headers)),
        "ready": client.is_server_ready(headers=dict(headers)),
        "model ready": client.is_model_ready("late", headers=dict(headers)),
        "version ready": client.is_model_ready("late", "1", headers=dict(headers)),
        "other version ready": client.is_model_ready("late", "9", headers=dict(headers)),
        "server": client.get_server_metadata(headers=dict(headers)),
        "model": client.get_model_metadata("late", headers=dict(headers)),
    }
    for binary_in in (False, True):
        for binary_out in (False, True):
            wished = [triton.InferRequestedOutput("late", binary_data=binary_out)]
            result = client.infer("late", inputs(binary_in), outputs=wished, request_id="mine", headers=dict(headers))
            found[f"infer {binary_in:d}{binary_out:d}"] = result.as_numpy("late").tolist()
            found["id"] = result.get_response()["id"]
    found["all outputs"] = client.infer("late", inputs(True), headers=dict(headers)).as_numpy("late").tolist()
    for coding in ("gzip",):
        result = client.infer("late", inputs(True), request_compression_algorithm=coding, headers=dict(headers))
        found[coding] = result.as_numpy("late").tolist()
    for datatype, kind in (("INT8", np.int8), ("UINT8", np.uint8), ("INT16", np.int16), ("UINT16", np.uint16),
                           ("INT32", np.int32), ("UINT32", np.uint32), ("UINT64", np.uint64), ("FP16", np.float16)):  # fmt: skip
        result = client.infer("late", inputs(True, dep_hour=(datatype, kind)), headers=dict(headers))
        found[datatype] = result.as_numpy("late").tolist()
    beside = [client.async_infer("late", inputs(True), headers=dict(headers)) for _ in range(8)]
    found["beside"] = [one.get_result().as_numpy("late").tolist() for one in beside]
    found["errors"] = {
        "model": error(lambda: client.infer("none", inputs(True), headers=dict(headers))),
        "output": error(lambda: client.infer("late", inputs(True), outputs=[triton.InferRequestedOutput("x")], headers=dict(headers))),
        "classes": error(lambda: client.infer("late", inputs(True), outputs=[triton.InferRequestedOutput("late", class_count=2)], headers=dict(headers))),
        "input": error(lambda: client.infer("late", inputs(True)[1:], headers=dict(headers))),
        "deflate": error(lambda: client.infer("late", inputs(True), request_compression_algorithm="deflate", headers=dict(headers))),
        "token": error(lambda: client.infer("late", inputs(True))),
    }  # fmt: skip
    return found


def error(call: Any) -> Any:
    """Status and sentence of the refusal."""
    try:
        call()
    except triton.InferenceServerException as refusal:
        return [refusal.status(), refusal.message()]
    return None


def main() -> None:
    client = triton.InferenceServerClient(sys.argv[1], concurrency=4)
    headers = {"Authorization": f"Bearer {sys.argv[2]}"}
    print(json.dumps(told(client, headers)))
    client.close()


if __name__ == "__main__":
    main()

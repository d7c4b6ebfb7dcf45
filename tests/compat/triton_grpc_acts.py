"""What the stock gRPC client of the Open Inference Protocol says of a server: one JSON document on standard output.

python triton_grpc_acts.py HOST:PORT TOKEN
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

COLUMNS = {
    "dep_hour": ("FP64", np.float64, [7.5, 1.0]),
    "distance": ("INT64", np.int64, [1400, 100]),
    "temp": ("FP32", np.float32, [float("nan"), 20.0]),
    "carrier": ("BYTES", np.object_, ["UA", "Ünited"]),
    "holiday": ("BOOL", np.bool_, [False, True]),
}


def inputs(**kinds: tuple[str, Any]) -> list[triton.InferInput]:
    """All inputs of the test's model; this client always sends raw contents."""
    made = []
    for name, (datatype, kind, values) in COLUMNS.items():
        datatype, kind = kinds.get(name, (datatype, kind))
        tensor = triton.InferInput(name, [len(values), 1], datatype)
        tensor.set_data_from_numpy(np.array(values, dtype=kind).reshape(-1, 1))
        made.append(tensor)
    return made


def told(client: Any, headers: dict[str, str]) -> dict[str, Any]:
    """Answers of every kind that the client can ask for."""
    plain = {"headers": headers}
    found: dict[str, Any] = {
        "live": client.is_server_live(**plain),
        "ready": client.is_server_ready(**plain),
        "model ready": client.is_model_ready("late", **plain),
        "version ready": client.is_model_ready("late", "1", **plain),
        "server": client.get_server_metadata(as_json=True, **plain),
        "model": client.get_model_metadata("late", as_json=True, **plain),
    }
    wished = [triton.InferRequestedOutput("late")]
    result = client.infer("late", inputs(), outputs=wished, request_id="mine", client_timeout=60, **plain)
    found["infer"], found["id"] = result.as_numpy("late").tolist(), result.get_response().id
    found["prediction"] = result.get_response().parameters["prediction_id"].string_param
    found["raw"] = len(result.get_response().raw_output_contents)
    found["version"] = client.infer("late", inputs(), model_version="1", **plain).as_numpy("late").tolist()
    found["parameters"] = (
        client.infer("late", inputs(), parameters={"a": 1, "b": "x", "c": True}, **plain).as_numpy("late").tolist()
    )
    found["gzip"] = client.infer("late", inputs(), compression_algorithm="gzip", **plain).as_numpy("late").tolist()
    for datatype, kind in (("INT8", np.int8), ("UINT16", np.uint16), ("INT32", np.int32), ("FP16", np.float16)):
        found[datatype] = client.infer("late", inputs(dep_hour=(datatype, kind)), **plain).as_numpy("late").tolist()
    found["later"] = later(client, headers)
    return found


def later(client: Any, headers: dict[str, str]) -> list[Any]:
    """Several at once, by callbacks."""
    answers: list[Any] = []
    for _ in range(8):
        client.async_infer("late", inputs(), lambda result, error: answers.append(error or result), headers=headers)
    until = time.monotonic() + 60
    while len(answers) < 8 and time.monotonic() < until:
        time.sleep(0.01)
    return [each.as_numpy("late").tolist() for each in answers]


def refused(client: Any, headers: dict[str, str]) -> dict[str, list[str]]:
    """The code and the words of each refusal."""
    asked = {
        "no token": lambda: client.is_server_ready(),
        "no such endpoint": lambda: client.infer("nobody", inputs(), headers=headers),
        "no such version": lambda: client.infer("late", inputs(), model_version="9", headers=headers),
        "missing input": lambda: client.infer("late", inputs()[1:], headers=headers),
        "wrong type": lambda: client.infer("late", inputs(distance=("BYTES", np.object_)), headers=headers),
        "index": lambda: client.get_model_repository_index(headers=headers),
        "load": lambda: client.load_model("late", headers=headers),
        "unload": lambda: client.unload_model("late", headers=headers),
        "statistics": lambda: client.get_inference_statistics("late", headers=headers),
    }
    found = {}
    for name, ask in asked.items():
        try:
            found[name] = ["", str(ask())]
        except InferenceServerException as error:
            found[name] = [str(error.status()), str(error.message())]
    return found


def described(message: Any) -> dict[str, Any]:
    """The fields of a message: number, type, whether repeated, and the messages inside."""
    return {
        field.name: [
            field.number,
            field.type,
            field.is_repeated,
            described(field.message_type) if field.message_type else None,
        ]
        for field in message.fields
    }


def main() -> None:
    where, token = sys.argv[1:3]
    headers = {"authorization": f"Bearer {token}"}
    with triton.InferenceServerClient(where) as client:
        found = {**told(client, headers), "refused": refused(client, headers)}
    found["messages"] = {
        name: described(message) for name, message in service_pb2.DESCRIPTOR.message_types_by_name.items()
    }
    found["methods"] = [each.name for each in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""Asking a program on this machine by the Open Inference Protocol (REST, version 2, JSON tensors)."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.rows import plain
from loopline.core.tables import Column, Signature

DATATYPES = {"float": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES", "timestamp": "BYTES"}
PATIENCE_S = 3600.0  # whoever asks has limits of his own


class Door(http.client.HTTPConnection):
    """A connection to a unix socket, or to a port of the loopback address; kept open between requests."""

    def __init__(self, path: str, port: int) -> None:
        super().__init__("127.0.0.1", port or 80, timeout=PATIENCE_S)
        self._path = "" if port else path

    def connect(self) -> None:
        """See `HTTPConnection`."""
        if not self._path:
            super().connect()
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)


def asked(door: Door, method: str, path: str, body: Any = None, timeout_s: float = PATIENCE_S) -> tuple[int, bytes]:
    """Status and body. OSError when nobody answers. Sent once more on a new connection where the kept one was closed."""
    kept = door.sock is not None
    try:
        return _once(door, method, path, body, timeout_s)
    except (http.client.HTTPException, ConnectionError) as error:
        door.close()
        if not kept:
            raise ConnectionError(str(error)) from None
    try:
        return _once(door, method, path, body, timeout_s)
    except http.client.HTTPException as error:
        door.close()
        raise ConnectionError(str(error)) from None


def _once(door: Door, method: str, path: str, body: Any, timeout_s: float) -> tuple[int, bytes]:
    door.timeout = timeout_s
    if door.sock is not None:
        door.sock.settimeout(timeout_s)
    content = None if body is None else msgspec.json.encode(body)
    door.request(method, path, content, {"Content-Type": "application/json"} if content else {})
    answer = door.getresponse()
    return answer.status, answer.read()


def inferred(door: Door, model: str, columns: Mapping[str, Any], signature: Signature) -> Any:
    """One value a row: float64, or object of str for a signature that gives texts. ValueError says what was refused."""
    tensors = [tensor(column, columns[column.name]) for column in signature.inputs]
    status, content = asked(door, "POST", f"/v2/models/{model}/infer", {"inputs": tensors})
    try:
        answer = msgspec.json.decode(content)
    except msgspec.DecodeError:
        raise ValueError(f"the program answered {status} with what is no JSON") from None
    if status != 200:
        said = answer.get("error") if isinstance(answer, dict) else answer
        raise ValueError(f"the program answered {status}: {str(said)[:300]}")
    return output(answer, signature.output)


def tensor(column: Column, values: Any) -> dict[str, Any]:
    """One column as a tensor of shape [n]; null for a value that is missing."""
    data = plain(values.tolist(), column)
    return {"name": column.name, "shape": [len(data)], "datatype": DATATYPES[column.type], "data": data}


def output(answer: Any, wanted: Column) -> Any:
    """The values of the output of that name, or of the first; ValueError when there are none."""
    import numpy as np

    try:
        outputs = answer["outputs"]
        found = next((one for one in outputs if one["name"] == wanted.name), outputs[0])["data"]
        texts = wanted.type in ("string", "timestamp")
        return np.asarray(found, dtype=object if texts else np.float64).reshape(-1)
    except (KeyError, IndexError, TypeError, ValueError):
        raise ValueError("the program's answer holds no output of numbers") from None

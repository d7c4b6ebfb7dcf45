"""How MLflow's stores reach Loopline: by its protocol's calls, without an HTTP library in between.

MLflow's own REST stores build each call's fields and read each answer; what they would send is answered by a `Backend`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.shells.mlflow_store import places
from loopline.shells.mlflow_store.backends import Backend, translated


def called(backend: Backend, method: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What a route answers, with addresses of artifacts as the plug-in knows them. Raises MLflow's errors."""
    with translated():
        return backend.answer(method, path, places.outward(fields))


def into_message(backend: Backend, method: str, path: str, body: str | None, message: Any) -> Any:
    """The answer to a call that MLflow has written as JSON, in the message that it waits for."""
    from mlflow.utils.proto_json_utils import parse_dict

    answer = called(backend, method, path, msgspec.json.decode(body) if body else {})
    parse_dict(js_dict=places.inward(answer), message=message)
    return message


def host_creds(backend: Backend) -> Any:
    """What MLflow's own HTTP calls need, for the few that go past the protocol's calls."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import NOT_IMPLEMENTED
    from mlflow.utils.credentials import get_default_host_creds

    if not backend.url:
        raise MlflowException("Loopline does not offer this without a server.", error_code=NOT_IMPLEMENTED)
    return get_default_host_creds(backend.url)

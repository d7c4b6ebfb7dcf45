"""Registered models for MLflow's client."""

from __future__ import annotations

from typing import Any

from mlflow.store.model_registry.rest_store import RestStore

from loopline.shells.mlflow_store import calls
from loopline.shells.mlflow_store.backends import backend_of


class RegistryStore(RestStore):  # type: ignore[misc]  # mlflow is untyped here
    """MLflow's registry store over a `Backend`."""

    def __init__(self, store_uri: str) -> None:
        self._backend = backend_of(store_uri)
        super().__init__(lambda: calls.host_creds(self._backend))

    @property
    def supports_workspaces(self) -> bool:
        """Loopline has none."""
        return False

    def _call_endpoint(
        self, api: Any, json_body: str | None = None, call_all_endpoints: bool = False, extra_headers: Any = None
    ) -> Any:
        path, method = self._get_endpoint_from_method(api)
        if call_all_endpoints:
            path, method = self._get_all_endpoints_from_method(api)[0]
        return calls.into_message(self._backend, method, path, json_body, api.Response())

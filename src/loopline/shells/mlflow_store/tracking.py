"""Runs for MLflow's client: what is logged in training loops is written to a journal at once and delivered behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlflow.entities import ViewType
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.store.tracking.rest_store import RestStore

from loopline.shells.mlflow_store import calls, entities
from loopline.shells.mlflow_store.backends import Backend, backend_of, translated
from loopline.shells.mlflow_store.quick import Quick

V2 = "/api/2.0/mlflow/"
READS_WAIT_S = 60.0


class TrackingStore(RestStore):  # type: ignore[misc]  # mlflow is untyped here
    """MLflow's tracking store over a `Backend`."""

    def __init__(self, store_uri: str) -> None:
        with translated():
            self._backend: Backend = backend_of(store_uri)
        super().__init__(lambda: calls.host_creds(self._backend))
        self._quick = Quick(self._backend)

    @property
    def supports_workspaces(self) -> bool:
        """Loopline has none."""
        return False

    def _call_endpoint(
        self,
        api: Any,
        json_body: str | None = None,
        endpoint: str | None = None,
        retry_timeout_seconds: Any = None,
        response_proto: Any = None,
    ) -> Any:
        table = getattr(self, "_V3_METHOD_TO_INFO", {}) if api in getattr(self, "_V3_APIS", ()) else methods()
        path, method = table[api]
        self._quick.flush(READS_WAIT_S)
        return calls.into_message(self._backend, method, endpoint or path, json_body, response_proto or api.Response())

    def _ask(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        self._quick.flush(READS_WAIT_S)
        return calls.called(
            self._backend, method, V2 + path, {key: value for key, value in fields.items() if value is not None}
        )

    def log_metric(self, run_id: str, metric: Any) -> None:
        """One point: journalled when the run and the key are known to be good, else by the protocol's call."""
        if not self._quick.take(run_id, (metric,)):
            self._ask("POST", "runs/log-metric", run_id=run_id, **measured(metric))
            self._quick.good(run_id, (metric,))

    def log_batch(self, run_id: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]) -> None:
        """Several points, params and tags; points alone are journalled like single ones."""
        if params or tags or len(metrics) > 1000 or not self._quick.take(run_id, metrics):
            texts = {name: [said(one) for one in given] for name, given in (("params", params), ("tags", tags))}
            self._ask("POST", "runs/log-batch", run_id=run_id, metrics=[measured(one) for one in metrics], **texts)
            self._quick.good(run_id, metrics)

    def log_param(self, run_id: str, param: Any) -> None:
        self._ask("POST", "runs/log-parameter", run_id=run_id, **said(param))

    def set_tag(self, run_id: str, tag: Any) -> None:
        self._ask("POST", "runs/set-tag", run_id=run_id, **said(tag))

    def create_run(self, experiment_id: str, user_id: str, start_time: int, tags: Sequence[Any], run_name: str) -> Any:
        fields = {
            "experiment_id": str(experiment_id),
            "user_id": user_id,
            "start_time": start_time,
            "run_name": run_name,
        }
        return entities.run(self._ask("POST", "runs/create", tags=[said(one) for one in tags], **fields)["run"])

    def get_run(self, run_id: str) -> Any:
        return entities.run(self._ask("GET", "runs/get", run_id=run_id)["run"])

    def delete_run(self, run_id: str) -> None:
        self._quick.forget()
        super().delete_run(run_id)

    def delete_experiment(self, experiment_id: str) -> None:
        self._quick.forget()
        super().delete_experiment(experiment_id)

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> Any:
        more = {"max_results": max_results, "page_token": page_token}
        found = self._ask("GET", "metrics/get-history", run_id=run_id, metric_key=metric_key, **more)
        return PagedList(
            [entities.metric(one) for one in found.get("metrics") or ()], found.get("next_page_token") or None
        )

    def _search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None,
        run_view_type: Any,
        max_results: int | None,
        order_by: Sequence[str] | None,
        page_token: str | None,
    ) -> tuple[list[Any], str | None]:
        found = self._ask(
            "POST",
            "runs/search",
            experiment_ids=[str(one) for one in experiment_ids],
            filter=filter_string,
            run_view_type=ViewType.to_string(run_view_type).upper() if run_view_type is not None else None,
            max_results=max_results,
            order_by=list(order_by or ()),
            page_token=page_token,
        )
        return [entities.run(one) for one in found.get("runs") or ()], found.get("next_page_token") or None

    def log_spans(self, location: str, spans: list[Any], tracking_uri: Any = None) -> list[Any]:
        """Spans of traces, as OTLP."""
        if spans:
            with translated():
                self._backend.send(*otlp(location, spans))
        return spans


class Plain(AbstractStore):  # type: ignore[misc]
    """A `TrackingStore` that does not look like MLflow's REST store, of which the client asks a host to print links to."""

    def __init__(self, store: TrackingStore) -> None:
        super().__init__()
        for name in dir(store):
            found = None if name.startswith("__") else getattr(type(store), name, None)
            if callable(found):
                setattr(self, name, getattr(store, name))


Plain.__abstractmethods__ = frozenset()  # each of them is there once it is made


def methods() -> Any:
    """Addresses of the protocol's calls, from where this version of MLflow keeps them."""
    from mlflow.store.tracking import rest_store

    found = getattr(RestStore, "_METHOD_TO_INFO", None)
    return rest_store._METHOD_TO_INFO if found is None else found


def measured(metric: Any) -> dict[str, Any]:
    """A point as the protocol tells it."""
    found = {"key": metric.key, "value": worded(metric.value), "timestamp": metric.timestamp, "step": metric.step}
    for name in ("model_id", "dataset_name", "dataset_digest"):
        if getattr(metric, name, None):
            found[name] = getattr(metric, name)
    return found


def worded(value: Any) -> Any:
    """A number as JSON can carry it."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, (int, float, str)) else float(value)


def said(one: Any) -> dict[str, str]:
    """A param or tag as the protocol tells it."""
    return {"key": one.key, "value": str(one.value)}


def otlp(location: str, spans: list[Any]) -> tuple[str, bytes, dict[str, str]]:
    """Address, body and headers by which spans travel."""
    from mlflow.tracing.utils.otlp import MLFLOW_EXPERIMENT_ID_HEADER, OTLP_TRACES_PATH, resource_to_otel_proto
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.CopyFrom(resource_to_otel_proto(getattr(spans[0]._span, "resource", None)))
    group.scope_spans.add().spans.extend(one.to_otel_proto() for one in spans)
    headers = {"content-type": "application/x-protobuf", MLFLOW_EXPERIMENT_ID_HEADER.lower(): location}
    return OTLP_TRACES_PATH, request.SerializeToString(), headers

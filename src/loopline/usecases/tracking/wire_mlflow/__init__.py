"""MLflow's REST protocol for experiments, runs, metrics, artifacts, logged models and traces."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from loopline.core.wires import Route
from loopline.usecases.tracking.wire_mlflow.intake import INTAKE

FILES = ("experiments", "runs", "metrics", "searches", "inputs", "logged_models", "artifacts", "traces")


def routes() -> tuple[Route, ...]:
    """What the files of this folder answer, together."""
    found: list[Route] = []
    for name in FILES:
        if find_spec(f"{__name__}.{name}") is not None:
            found += import_module(f"{__name__}.{name}").ROUTES
    return tuple(found)


ROUTES = routes()
__all__ = ["INTAKE", "ROUTES"]

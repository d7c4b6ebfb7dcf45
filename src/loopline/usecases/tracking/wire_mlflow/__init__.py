"""MLflow's REST protocol for experiments, runs, metrics, artifacts, logged models and traces.

ROUTES are answered by the shell one by one; what is logged while a run goes on comes in by INTAKE, on a shorter way.
"""

from __future__ import annotations

from loopline.usecases.tracking.wire_mlflow import (
    artifacts,
    experiments,
    inputs,
    logged_models,
    metrics,
    runs,
    searches,
    shown,
    traces,
)
from loopline.usecases.tracking.wire_mlflow.intake import INTAKE

ROUTES = (
    *experiments.ROUTES,
    *runs.ROUTES,
    *metrics.ROUTES,
    *searches.ROUTES,
    *inputs.ROUTES,
    *logged_models.ROUTES,
    *artifacts.ROUTES,
    *shown.ROUTES,
    *traces.ROUTES,
)

__all__ = ["INTAKE", "ROUTES"]

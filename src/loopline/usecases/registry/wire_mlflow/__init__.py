"""MLflow's REST protocol for registered models and their versions."""

from __future__ import annotations

from loopline.usecases.registry.wire_mlflow import downloads, models, versions

ROUTES = (*models.ROUTES, *versions.ROUTES, *downloads.ROUTES)

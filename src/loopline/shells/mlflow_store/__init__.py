"""Loopline behind the stock MLflow client: its plug-in entry points.

`MLFLOW_TRACKING_URI=loopline:///path/to/home` opens an installation in the client's own process, without a server;
`loopline+http://host:port` talks to a server. MLflow is imported only when one of these is called, which MLflow does.
"""

from __future__ import annotations

from typing import Any


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Entry point `mlflow.tracking_store`: a store for runs at `store_uri` (artifacts always lie with Loopline)."""
    from loopline.shells.mlflow_store.tracking import Plain, TrackingStore

    return Plain(TrackingStore(store_uri))


def registry_store(store_uri: str, tracking_uri: str | None = None) -> Any:
    """Entry point `mlflow.model_registry_store`: a store for registered models at `store_uri`."""
    from loopline.shells.mlflow_store.registry import RegistryStore

    return RegistryStore(store_uri)


def artifact_repository(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    """Entry point `mlflow.artifact_repository`: the files below `artifact_uri`."""
    from loopline.shells.mlflow_store.artifacts import LooplineArtifacts

    return LooplineArtifacts(artifact_uri, tracking_uri)

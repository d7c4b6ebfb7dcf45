"""Loopline carries a model from idea to production and round again, on one ledger."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline.core.programs import CommandModel as CommandModel
    from loopline.core.programs import PythonModel as PythonModel
    from loopline.core.tables import Column as Column
    from loopline.core.tables import Signature as Signature
    from loopline.shells.sdk import Client as Client
    from loopline.shells.sdk import connect as connect
    from loopline.shells.sdk.pipelines import run_pipeline as run_pipeline
    from loopline.shells.sdk.runs import autolog as autolog
    from loopline.shells.sdk.runs import current_run as current_run
    from loopline.shells.sdk.runs import flush as flush
    from loopline.shells.sdk.runs import run as run
    from loopline.shells.sdk.serving import endpoint as endpoint
    from loopline.usecases.datasets import Contract as Contract
    from loopline.usecases.datasets import column as column
    from loopline.usecases.pipelines import Dataset as Dataset
    from loopline.usecases.pipelines import File as File
    from loopline.usecases.pipelines import Model as Model
    from loopline.usecases.pipelines import Query as Query
    from loopline.usecases.pipelines import Url as Url
    from loopline.usecases.pipelines import branch as branch
    from loopline.usecases.pipelines import command as command
    from loopline.usecases.pipelines import materializer as materializer
    from loopline.usecases.pipelines import pipeline as pipeline
    from loopline.usecases.pipelines import step as step

__version__ = "0.1.0"

_PLACES = {
    "Client": "loopline.shells.sdk",
    "connect": "loopline.shells.sdk",
    "autolog": "loopline.shells.sdk.runs",
    "current_run": "loopline.shells.sdk.runs",
    "flush": "loopline.shells.sdk.runs",
    "run": "loopline.shells.sdk.runs",
    "endpoint": "loopline.shells.sdk.serving",
    "run_pipeline": "loopline.shells.sdk.pipelines",
    "CommandModel": "loopline.core.programs",
    "PythonModel": "loopline.core.programs",
    "Column": "loopline.core.tables",
    "Signature": "loopline.core.tables",
    "Contract": "loopline.usecases.datasets",
    "column": "loopline.usecases.datasets",
    "Dataset": "loopline.usecases.pipelines",
    "Model": "loopline.usecases.pipelines",
    "materializer": "loopline.usecases.pipelines",
    "Url": "loopline.usecases.pipelines",
    "Query": "loopline.usecases.pipelines",
    "File": "loopline.usecases.pipelines",
    "branch": "loopline.usecases.pipelines",
    "command": "loopline.usecases.pipelines",
    "pipeline": "loopline.usecases.pipelines",
    "step": "loopline.usecases.pipelines",
}

__all__ = [
    "Client",
    "Column",
    "CommandModel",
    "Contract",
    "Dataset",
    "Model",
    "Url",
    "Query",
    "File",
    "PythonModel",
    "Signature",
    "autolog",
    "branch",
    "column",
    "command",
    "connect",
    "current_run",
    "endpoint",
    "flush",
    "materializer",
    "pipeline",
    "run",
    "run_pipeline",
    "step",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only that: `import loopline` stays instant."""
    if name not in _PLACES:
        raise AttributeError(f"module 'loopline' has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found

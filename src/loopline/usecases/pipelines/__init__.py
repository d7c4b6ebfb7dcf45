"""Steps and pipelines: the same identity, the same result, never computed twice."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from loopline.core.parts import Part

if TYPE_CHECKING:
    from loopline.usecases.pipelines.commands import command as command
    from loopline.usecases.pipelines.materializers import materializer as materializer
    from loopline.usecases.pipelines.model import File as File
    from loopline.usecases.pipelines.model import Query as Query
    from loopline.usecases.pipelines.model import Url as Url
    from loopline.usecases.pipelines.results import Model as Model
    from loopline.usecases.pipelines.service import Pipelines
    from loopline.usecases.pipelines.steps import Dataset as Dataset
    from loopline.usecases.pipelines.steps import branch as branch
    from loopline.usecases.pipelines.steps import pipeline as pipeline
    from loopline.usecases.pipelines.steps import step as step

_PLACES = {
    "Dataset": "steps",
    "command": "commands",
    "File": "model",
    "Model": "results",
    "Query": "model",
    "Url": "model",
    "branch": "steps",
    "materializer": "materializers",
    "pipeline": "steps",
    "step": "steps",
}
_NEEDS = (
    "database",
    "blobs",
    "clock",
    "home",
    "tracking",
    "datasets",
    "registry",
    "runtimes",
    "executors",
    "environments",
)


def build(**needs: Any) -> Pipelines:
    from loopline.usecases.pipelines.service import Pipelines

    return Pipelines(**needs)


def __getattr__(name: str) -> Any:
    """What a project imports, imported only then."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


PART = Part("pipelines", build, needs=_NEEDS)

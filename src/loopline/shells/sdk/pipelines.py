"""`loopline.run_pipeline("training", days=7)` for notebooks and programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Invalid
from loopline.shells.sdk.client import Client, Local
from loopline.shells.sdk.runs import shared

if TYPE_CHECKING:
    from loopline.usecases.pipelines.model import PipelineRun, Progress


def run_pipeline(
    pipeline: str,
    /,
    *,
    folder: str | Path = ".",
    environment: str = "",
    executor: str = "processes",
    progress: Callable[[Progress], None] | None = None,
    client: Client | None = None,
    **params: Any,
) -> PipelineRun:
    """Run a pipeline of the project in `folder` with these parameters, as `loopline run` does, and answer the run.

    A failed step does not raise: look at `status` and `error`. Raises Invalid or NotFound for a wrong pipeline, parameter
    or environment, Invalid when the client is a server's, which has not the project's files.
    """
    local = client or shared()
    if not isinstance(local, Local):
        raise Invalid("A pipeline runs where its files are, not on a server.", "Connect without a url.")
    place = Path(folder).absolute()
    declared: dict[str, Any] = {"pipeline_name": pipeline}
    if (place / "loopline.yaml").is_file():
        projects = local.loopline.get("projects")
        declared = projects.pipeline(place, pipeline, actor=local.caller.name, environment=environment)
    given = {**declared.pop("params", {}), **params}
    done: PipelineRun = local.loopline.get("pipelines").run(
        place, params=given, actor=local.caller.name, progress=progress, executor=executor, **declared
    )
    return done

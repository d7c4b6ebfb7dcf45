"""Pages of tracking."""

from __future__ import annotations

from loopline.core.pages import Page
from loopline.usecases.tracking.web.artifact import artifact
from loopline.usecases.tracking.web.run import run
from loopline.usecases.tracking.web.runs import runs

PAGES = (
    Page("/runs", "runs.html", runs, tab="runs"),
    Page("/runs/{run_id}", "run.html", run, tab="runs"),
    Page("/runs/{run_id}/artifact", "artifact.html", artifact, tab="runs"),
)

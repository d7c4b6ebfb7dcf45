"""Pages of pipelines: all pipeline runs with the cache in numbers, and one step with its log and its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Page, attempted

MOST = 100
MOST_TEXT = 200_000


def pipelines(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The newest pipeline runs, each with how many steps ran and how many came from the cache."""
    return {"runs": call("pipelines.runs", limit=MOST), "cache": call("pipelines.cache")}


def step(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One step of a run: why it ran or not, and what it printed."""
    run = call("pipelines.get", run_id=params["run_id"])
    why = call("pipelines.why", run_id=params["run_id"], step=params["step"])
    found = [one for one in run["steps"] if params["step"] in (one["label"], one["step"])]
    log = (attempted(call, "pipelines.log", run_id=params["run_id"], step=params["step"]) or {}).get("log", "")
    return {
        "run": run,
        "step": found[0] if found else None,
        "why": why,
        "log": log[-MOST_TEXT:],
        "label": params["step"],
    }


PAGES = (
    Page("/pipelines", "pipelines.html", pipelines, tab="runs"),
    Page("/runs/{run_id}/steps/{step}", "step.html", step, tab="runs"),
)

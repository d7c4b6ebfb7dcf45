"""Pages of pipelines: all pipeline runs, one run as it goes on, one step with its log and its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Form, Page, attempted
from loopline.usecases.pipelines.drawing import drawing
from loopline.usecases.pipelines.timeline import shares, timeline

MOST = 100
MOST_STEPS = 150
MOST_CALLS = 50
MOST_TEXT = 200_000
FIRST = {"failed": 0, "running": 1, "cancelled": 2}
STATES = ("running", "failed", "cancelled", "waiting", "ran", "hit", "skipped")


def pipelines(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The newest pipeline runs, each with how many steps ran and how many came from the cache."""
    found = call("pipelines.runs", limit=MOST)
    return {
        "runs": found,
        "cache": call("pipelines.cache"),
        "live": any(one["status"] == "running" for one in found),
        "still": bool(params.get("still")),
    }


def run(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One run as it stands: its graph, what it prints, when what ran, each step."""
    found = call("pipelines.overview", run_id=params["run_id"], most=MOST_CALLS)
    query = {"status": params.get("status", "")[:20], "q": params.get("q", "")[:200]}
    fitting = [step for step in found["steps"] if fits(step, query)]
    steps = found["steps"]
    return {
        "run": found["run"],
        "watched": found,
        "live": found["run"]["status"] == "running",
        "still": bool(params.get("still")),
        "drawing": drawing(steps),
        "timeline": timeline(steps, found["now"]),
        "shares": shares(found["counts"], found["total"]),
        "cached": found["counts"].get("hit", 0) / found["done"] if found["done"] else None,
        "query": query,
        "states": [state for state in STATES if any(stands(step, state) for step in steps)],
        "fitting": len(fitting),
        "steps": shown(fitting),
        "several": [step for step in steps if step["calls"]],
        "searches": [searched(step, found["calls"].get(step["label"], ())) for step in steps if step["direction"]],
        "again": again(found),
    }


def fits(step: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Whether a step is one of those asked for."""
    return (not query["status"] or stands(step, query["status"])) and query["q"].lower() in step["label"].lower()


def stands(step: Mapping[str, Any], status: str) -> bool:
    """Whether a step, or a call of it, stands so."""
    return bool(step["status"] == status or step["counts"].get(status))


def shown(steps: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The steps for which there is room, in order; those that failed or run are among them."""
    if len(steps) <= MOST_STEPS:
        return steps
    best = sorted(range(len(steps)), key=lambda place: FIRST.get(steps[place]["status"], 9))[:MOST_STEPS]
    return [steps[place] for place in sorted(best)]


def searched(step: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The trials of a search with the best one, and their plot."""
    better = min if step["direction"] == "minimize" else max
    first = step["calls"] - len(trials)
    points = [[first + place, one["value"]] for place, one in enumerate(trials) if one["value"] is not None]
    best = better((value for _, value in points), default=None)
    so_far: list[list[float]] = []
    for at, value in points:
        so_far.append([at, better(value, so_far[-1][1]) if so_far else value])
    series = [{"name": "value", "points": points}, {"name": "best so far", "points": so_far}]
    return {
        "label": step["label"],
        "direction": step["direction"],
        "names": sorted({name for one in trials for name in one["params"]}),
        "trials": list(reversed(list(enumerate(trials, first)))),
        "best": next(
            (place for place, one in enumerate(trials, first) if best is not None and one["value"] == best), -1
        ),
        "value": best,
        "plot": {"x": "value", "unit": "trial", "series": series} if len(points) > 1 else None,
    }


def again(found: Mapping[str, Any]) -> str:
    """The command that takes a run up or runs it once more; pages cannot, as it takes the project's files."""
    run = found["run"]
    if run["release"]:
        environment = f" --environment {run['environment']}" if run["environment"] else ""
        return f"loopline run {run['release'][:12]}{environment}"
    failed = next((step["label"] for step in found["steps"] if step["status"] == "failed"), "")
    return f"loopline rerun {run['run_id'][:8]}{f' --from {quoted(failed)}' if failed else ''}"


def quoted(label: str) -> str:
    """A label as a shell takes it."""
    from shlex import quote

    return quote(label)


def step(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One step of a run: how it stands, why it ran or not, and what it printed."""
    run_id, label = params["run_id"], params["step"]
    run = call("pipelines.get", run_id=run_id)
    found = next((one for one in run["steps"] if one["label"] == label), None)
    found = found or next((one for one in run["steps"] if one["step"] == label), None)
    drawn = [one for one in call("pipelines.graph", run_id=run_id)["nodes"] if one["label"] == label]
    status = drawn[0]["status"] if drawn else found["status"] if found else ""
    calls = [one for one in run["steps"] if one["part_of"] == label]
    asked = found is not None or not drawn
    why = call("pipelines.why", run_id=run_id, step=label) if asked and status != "running" else None
    log = (attempted(call, "pipelines.log", run_id=run_id, step=label) or {}).get("log", "")
    return {
        "run": run,
        "step": found,
        "why": why,
        "status": status,
        "live": run["status"] == "running" and status in ("running", "waiting"),
        "still": bool(params.get("still")),
        "log": log[-MOST_TEXT:],
        "cut": len(log) > MOST_TEXT,
        "label": label,
        "calls": sorted(calls, key=lambda one: FIRST.get(one["status"], 9))[:MOST],
        "number": len(calls),
        "again": ""
        if run["release"]
        else f"loopline rerun {run['run_id'][:8]} --from {quoted(label.partition('[')[0])}",
    }


PAGES = (
    Page("/pipelines", "pipelines.html", pipelines, tab="runs"),
    Page("/pipelines/runs/{run_id}", "run.html", run, tab="runs"),
    Page("/runs/{run_id}/steps/{step}", "step.html", step, tab="runs"),
)
FORMS = (Form("/pipelines/runs/{run_id}/cancel", "pipelines.cancel", "/pipelines/runs/{run_id}"),)

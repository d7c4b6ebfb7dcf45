"""The page of one run: what went in, what happened, what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, attempted

MOST_PLOTS = 12
MOST_POINTS = 400
READ_POINTS = 20_000
MOST_STEPS = 40


def run(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One run: what went in, what happened, what came out."""
    found = call("tracking.get", run_id=params["run_id"])
    watched = attempted(call, "pipelines.overview", run_id=found["id"], most=0)
    return {
        "run": found,
        "artifacts": call("tracking.artifacts", run_id=found["id"]),
        "histories": histories(call, found),
        "pipeline": watched["run"] if watched else None,
        "steps": watched["steps"] if watched else [],
        "counts": watched["counts"] if watched else {},
        "gantt": gantt(watched["steps"][:MOST_STEPS], watched["now"]) if watched else None,
        "git": found["surroundings"].get("git") or {},
        "around": {k: v for k, v in found["surroundings"].items() if k not in ("git", "distributions") and v},
    }


def histories(call: Call, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each metric that has more than one point: the points, thinned evenly, and their plot."""
    shown: list[dict[str, Any]] = []
    for key in sorted(found["metrics"])[: 4 * MOST_PLOTS]:
        points = call("tracking.history", run_id=found["id"], key=key, limit=READ_POINTS)
        if len(points) > 1 and len(shown) < MOST_PLOTS:
            kept = thinned(points)
            pairs = [[point["step"], number(point["value"])] for point in kept]
            plot = {"x": "value", "unit": "step", "series": [{"name": key, "points": pairs}]}
            shown.append({"key": key, "points": kept, "count": len(points), "plot": plot})
    return shown


def thinned(points: Sequence[Any]) -> list[Any]:
    """At most MOST_POINTS of them, evenly spread, the last always among them."""
    every = -(-len(points) // MOST_POINTS)
    return [*points[:-1:every], points[-1]]


def number(value: Any) -> float | None:
    """A value that a plot can show."""
    return value if isinstance(value, int | float) else None


def gantt(steps: Sequence[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
    """Each step as a bar: `left` and `width` between 0 and 1 of the run's whole time."""
    ends = [now if step["until"] is None else step["until"] for step in steps]
    whole = max([now, *ends, 1e-9])
    return [
        {**step, "left": (step["after"] or 0.0) / whole, "width": max(end - step["after"], 0.0) / whole}
        if step["after"] is not None
        else {**step, "left": 0.0, "width": 0.0}
        for step, end in zip(steps, ends, strict=True)
    ]

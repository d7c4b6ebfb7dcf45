"""The page of one run: what went in, what happened, what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from loopline.core.pages import Call, attempted
from loopline.core.times import to_text
from loopline.usecases.tracking.web import charts, pieces

MOST_STEPS = 40
MOST_CHILDREN = 50
GALLERY = 8
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
OWN_TAGS = ("mlflow.", "loopline.")
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def run(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One run: what went in, what happened, what came out."""
    found = call("tracking.get", run_id=params["run_id"])
    files = call("tracking.artifacts", run_id=found["id"])
    return {
        **standing(call, found, params),
        **drawings(call, found, params),
        **surroundings(call, found, params.get("package", "")[:200]),
        "files": pieces.tree(files, params.get("folder", "")),
        "pictures": [one for one in files if one["media_type"] in PICTURES][:GALLERY],
        "logs": printed(call, found["id"], pieces.logs(files)[:4]),
        "parent": attempted(call, "tracking.get", run_id=found["tags"].get(PARENT, ""))
        if PARENT in found["tags"]
        else None,
        "children": children(call, found["id"]),
        "versions": attempted(call, "registry.of_run", run_id=found["id"]) or [],
        "choices": {"AXES": charts.AXES, "SCALES": charts.SCALES, "BEST": charts.BEST, "TOGETHER": charts.TOGETHER},
    }


def now(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What changes while a run goes on, alone: the run's page asks for it again and again."""
    return standing(call, call("tracking.get", run_id=params["run_id"]), params)


def standing(call: Call, found: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """The run, its figures, metrics, params and steps."""
    watched = attempted(call, "pipelines.overview", run_id=found["id"], most=0) if found["kind"] != "run" else None
    find = params.get("find", "")[:200]
    return {
        "run": found,
        "find": find,
        "until": found["ended_at"] or to_text(datetime.now(UTC)),
        "metrics": narrowed(found["metrics"], find),
        "params_found": narrowed(found["params"], find),
        "drawable": call("tracking.drawable", run_id=found["id"]),
        "note": found["tags"].get(NOTE, ""),
        "tags": {key: value for key, value in found["tags"].items() if not key.startswith(OWN_TAGS)},
        "hidden_tags": {key: value for key, value in found["tags"].items() if key.startswith(OWN_TAGS) and key != NOTE},
        "pipeline": watched["run"] if watched else None,
        "steps": watched["steps"] if watched else [],
        "counts": watched["counts"] if watched else {},
        "gantt": gantt(watched["steps"][:MOST_STEPS], watched["now"]) if watched else None,
    }


def narrowed(values: Mapping[str, Any], find: str) -> dict[str, Any]:
    """Those whose name or value holds every word, as the search on the page does with script."""
    words = find.lower().split()
    return {
        key: value for key, value in sorted(values.items()) if all(word in f"{key} {value}".lower() for word in words)
    }


def drawings(call: Call, found: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """The charts; with `metric` in the address that one alone."""
    chosen, only = charts.choices(params), params.get("metric", "")
    keys = [key for key in call("tracking.drawable", run_id=found["id"]) if not only or key == only]
    grouped = charts.groups(keys, chosen["together"])

    def make(one: Mapping[str, Any]) -> dict[str, Any]:
        return charts.chart([{"id": found["id"], "name": found["name"]}], one["keys"], one["title"], chosen)

    return {"groups": charts.with_points(call, grouped, make), "chosen": chosen, "only": only}


def surroundings(call: Call, found: Mapping[str, Any], package: str) -> dict[str, Any]:
    """Code and environment; of the packages those that hold the words of `package`."""
    code = call("tracking.code", run_id=found["id"])
    apart = ("git", "distributions")
    return {
        "code": code,
        "package": package,
        "packages": narrowed(code["packages"], package),
        "git": found["surroundings"].get("git") or {},
        "diff": pieces.lines(code["diff"]),
        "changed": pieces.changed(code["diff"]),
        "around": {key: value for key, value in found["surroundings"].items() if key not in apart and value},
    }


def children(call: Call, run_id: str) -> list[Any]:
    """The runs that were begun inside this one, newest first."""
    found = attempted(call, "tracking.search", filter=f"tags.`{PARENT}` = '{run_id}'", limit=MOST_CHILDREN)
    return found["runs"] if found else []


def printed(call: Call, run_id: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """The end of each of these files."""
    found = ((name, attempted(call, "tracking.preview", run_id=run_id, name=name, tail=True)) for name in names)
    return [{"name": name, **one} for name, one in found if one and one["kind"] == "text"]


def log(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The end of what a run printed, alone: the run's page asks for it again and again."""
    found = call("tracking.get", run_id=params["run_id"])
    names = pieces.logs(call("tracking.artifacts", run_id=found["id"]))[:4]
    return {"run": found, "logs": printed(call, found["id"], names)}


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

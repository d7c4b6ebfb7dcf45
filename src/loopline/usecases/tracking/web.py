"""Pages of tracking: all runs, and one run with everything that belongs to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopline.core.errors import Invalid, LooplineError
from loopline.core.pages import Call, Page, attempted

PAGE_SIZE = 50
MOST_COLUMNS = 5
MOST_PLOTS = 12
MOST_POINTS = 400
READ_POINTS = 20_000
MOST_TEXT = 64 * 1024
MOST_STEPS = 40
SORTS = ("started_at", "name", "status", "created_by")
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
QUERY = ("q", "experiment", "kind", "status", "filter", "sort", "order", "page")


def runs(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The runs that fit the filters in the address, in the order asked for."""
    query = {name: params.get(name, "")[:1000] for name in QUERY}
    query["sort"] = query["sort"] or "started_at"
    found, mistake = searched(call, query)
    return {
        "query": query,
        "runs": found["runs"],
        "next": found["next"],
        "mistake": mistake,
        "metrics": columns((run["metrics"] for run in found["runs"]), query["sort"], "metrics."),
        "params_shown": columns((run["params"] for run in found["runs"]), query["sort"], "params.", differing=True),
        "experiments": call("tracking.experiments"),
        "filtered": any(query[name] for name in ("q", "experiment", "kind", "status", "filter")),
    }


def searched(call: Call, query: Mapping[str, str]) -> tuple[dict[str, Any], LooplineError | None]:
    """What the search finds; a filter that is written wrongly finds nothing and says why."""
    order = f"{query['sort']} {'asc' if query['order'] == 'asc' else 'desc'}"
    order_by = [] if order == "started_at desc" else [order]
    asked = {"filter": where(query), "experiment": query["experiment"], "order_by": order_by, "page": query["page"]}
    try:
        found: dict[str, Any] = call("tracking.search", limit=PAGE_SIZE, **asked)
    except Invalid as error:
        return {"runs": [], "next": ""}, error
    return found, None


def where(query: Mapping[str, str]) -> str:
    """The filters as one search."""
    pieces = [f"name ILIKE {quoted('%' + query['q'] + '%')}"] if query["q"] else []
    pieces += [f"{name} = {quoted(query[name])}" for name in ("kind", "status") if query[name]]
    return " and ".join([*pieces, *([query["filter"]] if query["filter"].strip() else [])])


def quoted(text: str) -> str:
    """A text as the search language writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def columns(rows: Iterable[Mapping[str, Any]], sort: str, prefix: str, differing: bool = False) -> list[str]:
    """The names worth a column: those that most runs have (and differ in), those of single steps ("evaluate.auc") last,
    and always the one sorted by."""
    rows = list(rows)
    counts = Counter(name for row in rows for name in row)
    if differing:
        counts = Counter({name: n for name, n in counts.items() if len({row.get(name) for row in rows}) > 1})
    names = sorted(counts, key=lambda name: (-counts[name], "." in name, name))[:MOST_COLUMNS]
    wanted = sort.removeprefix(prefix) if sort.startswith(prefix) else ""
    return [*names, *([wanted] if wanted and wanted not in names else [])]


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


def artifact(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One file of a run: shown when it is a text or a small picture."""
    found = call("tracking.artifact", run_id=params["run_id"], name=params.get("name", ""))
    one, content = found["artifact"], found["content"]
    small = one["size"] <= 4 << 20
    picture = f"data:{one['media_type']};base64,{content}" if one["media_type"] in IMAGES and small else ""
    return {"run": call("tracking.get", run_id=params["run_id"]), "one": one, "picture": picture, "text": text(content)}


def text(content: str) -> str | None:
    """The beginning of a text file (it comes in base64), or None for anything else."""
    import base64

    raw = base64.b64decode(content)[: MOST_TEXT + 1]
    try:
        shown = raw[:MOST_TEXT].decode(errors="ignore" if len(raw) > MOST_TEXT else "strict")
    except UnicodeDecodeError:
        return None
    return None if "\x00" in shown else shown


PAGES = (
    Page("/runs", "runs.html", runs, tab="runs"),
    Page("/runs/{run_id}", "run.html", run, tab="runs"),
    Page("/runs/{run_id}/artifact", "artifact.html", artifact, tab="runs"),
)

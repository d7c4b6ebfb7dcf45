"""The pages of traces: a list with filters in the address, and one trace as a tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import Invalid, LooplineError
from loopline.core.pages import Call
from loopline.core.times import from_ms

PAGE_SIZE = 50
QUERY = ("experiment", "filter", "page")
LONGEST = 20_000
OWN = (
    "mlflow.artifactLocation",
    "mlflow.trace.spansLocation",
    "mlflow.traceName",
    "mlflow.traceInputs",
    "mlflow.traceOutputs",
)


def traces(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Traces, newest first."""
    query = {name: params.get(name, "")[:1000] for name in QUERY}
    page = int(query["page"]) if query["page"].isdecimal() and len(query["page"]) < 7 else 0
    found: dict[str, Any] = {"traces": [], "experiments": {}, "more": False}
    mistake: LooplineError | None = None
    asked = {"experiment": query["experiment"], "filter": query["filter"]}
    try:
        found = call("tracking.traces", limit=PAGE_SIZE, offset=page * PAGE_SIZE, **asked)
    except Invalid as error:
        mistake = error
    return {
        "query": query,
        "traces": [row(one, found["experiments"]) for one in found["traces"]],
        "before": page - 1 if page else None,
        "after": page + 1 if found["more"] else None,
        "mistake": mistake,
        "experiments": call("tracking.experiments"),
        "filtered": any(query[name] for name in ("experiment", "filter")),
    }


def trace(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One trace with its spans."""
    found = call("tracking.trace", trace_id=params["trace_id"])
    names = {str(one["id"]): one["name"] for one in call("tracking.experiments")}
    return {
        "trace": row(found["trace"], names),
        "nodes": [shown(one) for one in found["nodes"]],
        "more": found["more"],
    }


def row(one: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A trace as a line of a table."""
    return {
        **one,
        "name": one["name"] or one["id"],
        "experiment": names.get(str(one["experiment_id"]), ""),
        "at": from_ms(one["started_ms"]),
        "seconds": None if one["duration_ms"] is None else one["duration_ms"] / 1000,
        "tags_shown": {key: value for key, value in one["tags"].items() if value and key not in OWN},
        "metadata_shown": {key: value for key, value in one["metadata"].items() if value and key not in OWN},
        "run_id": one["metadata"].get("mlflow.sourceRun", ""),
    }


def shown(node: Mapping[str, Any]) -> dict[str, Any]:
    """A span with what it holds as texts, cut where they are long."""
    texts = {name: text(node[name]) for name in ("inputs", "outputs") if node[name] is not None}
    if node["attributes"]:
        texts["attributes"] = text(node["attributes"])
    if node["events"]:
        texts["events"] = text([{"name": name, **about} for name, about in node["events"]])
    seconds = None if node["duration_ms"] is None else node["duration_ms"] / 1000
    bar = {"x": round(1000 * min(node["left"], 0.998), 1), "width": max(round(1000 * node["width"], 1), 2)}
    return {**node, "texts": texts, "seconds": seconds, "bar": bar}


def text(value: Any) -> str:
    """A value as JSON that people read."""
    found = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return found if len(found) <= LONGEST else f"{found[:LONGEST]}\n… {len(found) - LONGEST:,} characters more"

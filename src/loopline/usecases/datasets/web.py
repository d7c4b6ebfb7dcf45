"""Pages of datasets: all of them, one with its snapshots and batches, and one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Form, Page, attempted

MOST = 100
ROWS = 12


def datasets(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """All datasets with how many snapshots and refused batches they have."""
    return {"datasets": call("datasets.datasets")}


def dataset(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One dataset: what it promises, what was taken, what was kept aside and why."""
    found = call("datasets.dataset", name=params["name"])
    state = params.get("state", "") if params.get("state") in ("accepted", "refused", "released") else ""
    batches = call("datasets.batches", name=params["name"], state=state)
    refused = [batch for batch in call("datasets.batches", name=params["name"], state="refused") if batch["report"]]
    snapshots = sorted(call("datasets.snapshots", name=params["name"]), key=lambda one: -one["seq"])
    return {
        "dataset": found,
        "snapshots": snapshots[:MOST],
        "batches": sorted(batches, key=lambda one: one["seen_at"], reverse=True)[:MOST],
        "counts": {"batches": len(batches), "snapshots": len(snapshots)},
        "refused": sorted(refused, key=lambda one: one["seen_at"], reverse=True)[:MOST],
        "state": state,
        "growth": {
            "x": "time",
            "from": 0,
            "series": [{"name": "rows", "points": [[one["taken_at"], one["rows"]] for one in snapshots[::-1]]}],
        },
    }


def snapshot(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One snapshot: columns, parts, the first rows, and where it went."""
    found = call("datasets.get", digest=params["digest"])
    return {"snapshot": found, "rows": attempted(call, "datasets.rows", digest=found["digest"], limit=ROWS) or []}


PAGES = (
    Page("/datasets", "datasets.html", datasets, tab="datasets"),
    Page("/datasets/{name}", "dataset.html", dataset, tab="datasets"),
    Page("/snapshots/{digest}", "snapshot.html", snapshot, tab="datasets"),
)
FORMS = (
    Form("/datasets/{name}/release", "datasets.accept", "/datasets/{name}"),
    Form("/datasets/{name}/snapshot", "datasets.snapshot", "/datasets/{name}"),
)

"""The page of one file of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from loopline.core.pages import Call

BLOCKS = 8


def artifact(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One file of a run: what can be shown of it, and where to get it whole."""
    run = call("tracking.get", run_id=params["run_id"])
    one = call("tracking.preview", run_id=run["id"], name=params.get("name", ""))
    return {"run": run, "one": one, "place": place(run["id"], one["name"]), "heat": heat(one), "totals": totals(one)}


def place(run_id: str, name: str) -> dict[str, str]:
    """The addresses of a file: to look at in a sandbox, and to keep."""
    return {
        "shown": f"/runs/{run_id}/shown/{quote(name)}",
        "whole": f"/api/v1/tracking/runs/{run_id}/files/{quote(name)}",
    }


def heat(one: Mapping[str, Any]) -> list[list[int]]:
    """How warm each cell of a confusion matrix is, 0 to BLOCKS, by its share of its row (its true label)."""
    if one["kind"] != "confusion":
        return []
    return [[round(BLOCKS * count / max(1, sum(row))) for count in row] for row in one["rows"]]


def totals(one: Mapping[str, Any]) -> dict[str, Any]:
    """How many a confusion matrix counts, and what share of them lies on the diagonal."""
    if one["kind"] != "confusion":
        return {}
    count = sum(sum(row) for row in one["rows"])
    right = sum(row[at] for at, row in enumerate(one["rows"]))
    return {"count": count, "right": right / count if count else None}

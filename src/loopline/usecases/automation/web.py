"""Pages of automation: the policies with their firings, and why one fired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Form, Page
from loopline.usecases.automation.drawing import drawing


def policies(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """All policies and their newest firings."""
    policy = params.get("policy", "")[:200]
    return {
        "policies": call("automation.policies"),
        "firings": call("automation.firings", policy=policy, limit=100),
        "policy": policy,
    }


def firing(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One firing: what set it off and what came of it."""
    return {"why": call("automation.why", firing=params["firing"])}


def graph(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What starts what, drawn and as a table."""
    found = call("automation.graph")
    return {
        "drawing": drawing(found["nodes"], found["edges"]),
        "edges": found["edges"],
        "names": {node["id"]: node for node in found["nodes"]},
    }


PAGES = (
    Page("/automation/graph", "graph.html", graph, tab="policies"),
    Page("/policies", "policies.html", policies, tab="policies"),
    Page("/firings/{firing}", "firing.html", firing, tab="policies"),
)
FORMS = (Form("/policies/{policy}/fire", "automation.fire", "/policies"),)

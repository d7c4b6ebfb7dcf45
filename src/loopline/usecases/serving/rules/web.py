"""Pages of business rules: all of them, and one version with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Page


def every(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """All rules, newest first, each with the endpoints around whose model it stands now."""
    used = standing(call)
    return {"rules": [{**one, "endpoints": used.get(one["reference"], [])} for one in call("serving.rules")]}


def one(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One version, and the others of its name."""
    name = params["name"]
    found = call("serving.rule", name=name, number=params["number"])
    return {
        "one": found,
        "others": call("serving.rules", name=name),
        "endpoints": standing(call).get(found["reference"], []),
    }


def standing(call: Call) -> dict[str, list[str]]:
    """Rules → the endpoints whose live revision has them."""
    found: dict[str, list[str]] = {}
    for endpoint in call("serving.endpoints"):
        rules = (endpoint["live"] or {}).get("rules")
        if rules:
            found.setdefault(rules, []).append(endpoint["name"])
    return found


PAGES = (
    Page("/rules", "rules.html", every, tab="endpoints"),
    Page("/rules/{name}/{number}", "rule.html", one, tab="endpoints"),
)

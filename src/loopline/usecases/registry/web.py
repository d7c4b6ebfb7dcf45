"""Pages of the registry: all models, and one model with its versions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Page, attempted

SIDE_BY_SIDE = 5
HIGHER = ("auc", "accuracy", "f1", "precision", "recall", "r2", "gain")
LOWER = ("loss", "brier", "mae", "mse", "rmse", "error")
LINEAGE = ("trained_from", "trained_until", "snapshots", "code", "release", "label")


def models(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """All registered models with their aliases and the endpoints that serve them."""
    found = call("registry.models")
    served: dict[str, list[str]] = {}
    for endpoint in attempted(call, "serving.endpoints") or ():
        served.setdefault(endpoint["model"], []).append(endpoint["name"])
    return {"models": found, "served": served}


def model(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Versions of one model side by side, newest first; `until` in the address shows older ones."""
    name = params["model"]
    versions = call("registry.versions", model=name)[::-1]
    until = params.get("until", "")
    eligible = [one for one in versions if one["version"] <= int(until)] if until.isdecimal() else versions
    shown = eligible[:SIDE_BY_SIDE]
    aliases = call("registry.aliases", model=name)
    return {
        "name": name,
        "count": len(versions),
        "versions": shown,
        "older": eligible[SIDE_BY_SIDE]["version"] if len(eligible) > SIDE_BY_SIDE else 0,
        "aliases": aliases,
        "histories": {alias: call("registry.alias", model=name, alias=alias)["history"][::-1] for alias in aliases},
        "metrics": metrics(shown),
        "lineage": [key for key in LINEAGE if any(key in one["metadata"] for one in shown)],
        "gates": newest_gates(attempted(call, "promotion.gates", model=name, limit=200) or ()),
        "columns": signature_rows(shown),
        "endpoints": [one for one in attempted(call, "serving.endpoints") or () if one["model"] == name],
    }


def metrics(versions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a metric with the value of each version; `best` is the place of the best, where better is known."""
    rows = []
    for key in sorted({key for one in versions for key in one["metrics"]}):
        values = [one["metrics"].get(key) for one in versions]
        rows.append({"key": key, "values": values, "best": best(key, values)})
    return rows


def best(key: str, values: Sequence[Any]) -> Any:
    """The best of several values of a metric, or None when there are fewer than two different ones."""
    numbers = [value for value in values if isinstance(value, int | float)]
    words = key.lower().replace("-", "_").split("_")
    if len(set(numbers)) < 2:
        return None
    if any(word in LOWER for word in words):
        return min(numbers)
    return max(numbers) if any(word in HIGHER for word in words) else None


def newest_gates(gates: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """For each version its newest gate for each alias (the gates come newest first)."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for gate in gates:
        known = found.setdefault(gate["version"], [])
        if all(one["alias"] != gate["alias"] for one in known):
            known.append(gate)
    return found


def signature_rows(versions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row an input column: its type in each version, and whether that differs."""
    types = [{one["name"]: kind(one) for one in version["signature"]["inputs"]} for version in versions]
    names = list(dict.fromkeys(name for known in types for name in known))
    rows = [{"name": name, "types": [known.get(name, "") for known in types]} for name in names]
    outputs = [version["signature"]["output"] for version in versions]
    named = [one["name"] for one in outputs if one["name"]]  # a version may come without a signature
    rows += [{"name": f"→ {named[0]}", "types": [kind(one) if one["name"] else "" for one in outputs]}] if named else []
    return [{**row, "differs": len(set(row["types"])) > 1} for row in rows]


def kind(column: Mapping[str, Any]) -> str:
    """A column's type in words."""
    return f"{column['type']}, may be empty" if column.get("nullable") else str(column["type"])


PAGES = (
    Page("/models", "models.html", models, tab="models"),
    Page("/models/{model}", "model.html", model, tab="models"),
)

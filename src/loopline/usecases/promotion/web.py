"""Pages of promotion: all gates, and one gate with its checks, its evidence and what people may do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Form, Page
from loopline.usecases.promotion.model import Estimate
from loopline.usecases.promotion.model.decision import interval

LEFT, WIDTH = 10.0, 740.0


def gates(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The newest gates, of one model when the address says so."""
    model = params.get("model", "")[:200]
    return {"gates": call("promotion.gates", model=model, limit=200), "model": model}


def gate(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One gate: verdict, checks, evidence, approvals."""
    found = call("promotion.verdict", id=params["id"])
    names = {name: found[name] for name in ("model", "version", "alias")}
    standing = call("promotion.standing", **names)
    evidence, config = found["evidence"], found["config"]
    gain = spanned(evidence["gain"], config["confidence"], 1)
    family = max(1, sum(part["gain"] is not None for part in evidence["slices"]))
    slices = [{**part, "span": spanned(part["gain"], config["confidence"], family)} for part in evidence["slices"]]
    limits = {rule["column"]: -rule["no_worse_by"] for rule in config["slices"]}
    overall = {"name": "all rows", "span": gain, "limit": -config["no_worse_by"], "verdict": ""}
    bars = [{"name": part["value"], "limit": limits.get(part["column"]), **part} for part in slices]
    return {
        "gate": found,
        "evidence": evidence,
        "config": config,
        "gain": gain,
        "slices": sorted(slices, key=worst_first),
        "drawing": drawing([overall, *sorted(bars, key=worst_first)]),
        "current": standing["gate"] is not None and standing["gate"]["id"] == found["id"],
        "standing": standing,
        "registered_by": call("registry.version", model=found["model"], version=found["version"])["created_by"],
    }


def worst_first(part: Mapping[str, Any]) -> float:
    """The order of slices: the largest loss first, those that were not compared last."""
    return float(part["span"]["value"]) if part["span"] else float("inf")


def spanned(gain: Mapping[str, Any] | None, confidence: float, family: int) -> dict[str, float] | None:
    """A gain with the interval that its check used, or None when it was not compared."""
    if gain is None or gain["value"] is None or gain["standard_error"] is None:
        return None
    low, high = interval(Estimate(gain["value"], gain["standard_error"], gain["degrees"]), confidence, family)
    return {"value": gain["value"], "low": low, "high": high} if low == low and high == high else None


def drawing(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Intervals as lengths of a drawing, all on one scale; None when nothing was compared."""
    shown = [row for row in rows if row["span"]]
    if not shown:
        return None
    edges = [0.0, *(row["span"][end] for row in shown for end in ("low", "high"))]
    edges += [row["limit"] for row in shown if row["limit"] is not None]
    low, high = min(edges), max(edges)
    scale = WIDTH / ((high - low) or 1.0)

    def at(value: float | None) -> float | None:
        return None if value is None else round(LEFT + (value - low) * scale, 1)

    placed = [
        {**row, **{f"at_{end}": at(row["span"][end]) for end in ("low", "value", "high")}, "at_limit": at(row["limit"])}
        for row in shown
    ]
    return {"rows": placed, "zero": at(0.0)}


PAGES = (
    Page("/gates", "gates.html", gates, tab="gates"),
    Page("/gates/{id}", "gate.html", gate, tab="gates"),
)
FORMS = (
    Form("/gates/{id}/approve", "promotion.approve", "/gates/{id}"),
    Form("/gates/{id}/promote", "promotion.promote", "/gates/{id}"),
    Form("/models/{model}/gate", "promotion.gate", "/models/{model}"),
    Form("/models/{model}/aliases/{alias}/rollback", "promotion.rollback", "/models/{model}"),
)

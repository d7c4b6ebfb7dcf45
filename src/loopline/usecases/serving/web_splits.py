"""Pages of splits: who gets which share, what came of the arms, and what a shadow would have answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Form, Page, attempted

CHOICES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
METRICS = {"": "as fits the truth", "accuracy": "accuracy", "absolute_error": "absolute error", "log_loss": "log loss",
           "truth": "the truth itself"}  # fmt: skip
MOST_VERDICTS = 20
MOST_MOMENTS = 200


def sharing(call: Call, name: str) -> dict[str, Any]:
    """What the endpoint's page shows of its split, its bake period and its past."""
    split = call("serving.split", endpoint=name)
    timeline = call("serving.timeline", endpoint=name)[:MOST_MOMENTS]
    return {
        "split": split["traffic"],
        "parts": parts(split),
        "bake": split["bake"],
        "verdicts": split["verdicts"][:MOST_VERDICTS],
        "choices": CHOICES,
        "timeline": [{**one, "parts": shares(one["traffic"])} for one in timeline],
    }


def shares(traffic: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Name, revision and share of each arm and shadow, the live one's first; nothing when there is no split."""
    if not traffic:
        return []
    arms = list(traffic.get("arms", ()))
    rest = max(0.0, 1 - sum(arm["share"] for arm in arms))
    found = [{"name": "live", "revision": None, "share": rest, "mirror": False}]
    found += [{**_named(arm), "mirror": False} for arm in arms]
    return found + [{**_named(arm), "mirror": True} for arm in traffic.get("shadows", ())]


def parts(split: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table, and pieces of the bar (x and width from 0 to 1000), of a split."""
    counts = {(one["revision"], one["arm"]): one for one in split["counts"]}
    known = {one["revision"]: one for one in split["beside"]}
    found, start = [], 0.0
    for place, part in enumerate(shares(split["traffic"]), 1):
        revision = split["live"] if part["revision"] is None else known.get(part["revision"])
        number = revision["revision"] if revision else part["revision"]
        width = 0.0 if part["mirror"] else 1000 * part["share"]
        count = counts.get((number, part["name"]), {})
        found.append(
            {
                **part, "deployment": revision, "place": min(place, 8), "x": round(start, 1), "width": round(width, 1),
                **{each: count.get(each, 0) for each in ("answered", "failed", "dropped")},
            }
        )  # fmt: skip
        start += width
    return found


def arms(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The arms of a split, by the truth that has arrived."""
    name, metric = params["endpoint"], params.get("metric", "")
    endpoint = call("serving.endpoint", endpoint=name)
    has_arms = bool((endpoint["traffic"] or {}).get("arms"))
    found = call("serving.arms", endpoint=name, metric=metric) if has_arms else None
    return {
        "endpoint": endpoint,
        "outcome": found,
        "metrics": METRICS,
        "metric": metric,
        "plots": [] if found is None else [(one, interval_plot(one)) for one in found["comparisons"] if one["course"]],
    }


def interval_plot(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """The difference to what is live as truth arrived, with its interval; 0 is marked."""
    course: Sequence[Sequence[float]] = comparison["course"]
    series = {
        "name": "difference to live",
        "points": [[units, estimate] for units, estimate, _, _ in course],
        "band": [[units, low, high] for units, _, low, high in course],
    }
    return {
        "x": "value",
        "unit": "units with truth",
        "series": [series],
        "limits": [{"at": 0, "text": "no difference"}],
    }


def shadow(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What a shadow would have answered."""
    name = params["endpoint"]
    revision = int(params["revision"]) if params.get("revision", "").isdecimal() else 0
    known = shadows_of(call("serving.splits", endpoint=name))
    return {
        "endpoint": call("serving.endpoint", endpoint=name),
        "known": known,
        "shadow": attempted(call, "serving.shadow", endpoint=name, revision=revision) if known else None,
    }


def shadows_of(splits: Sequence[Mapping[str, Any]]) -> list[int]:
    """The revisions that were shadows, newest first."""
    return sorted({arm["revision"] for one in splits for arm in one["traffic"].get("shadows", ())}, reverse=True)


def _named(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": arm["name"], "revision": arm["revision"], "share": arm["share"]}


PAGES = (
    Page("/endpoints/{endpoint}/arms", "arms.html", arms, tab="endpoints"),
    Page("/endpoints/{endpoint}/shadow", "shadow.html", shadow, tab="endpoints"),
)
FORMS = (
    Form("/endpoints/{endpoint}/share", "serving.share", "/endpoints/{endpoint}"),
    Form("/endpoints/{endpoint}/promote", "serving.promote", "/endpoints/{endpoint}"),
    Form("/endpoints/{endpoint}/stop", "serving.stop", "/endpoints/{endpoint}"),
)

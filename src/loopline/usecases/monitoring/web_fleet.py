"""The page of all models: who needs a look first, with the one or two metrics that matter for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Page
from loopline.usecases.monitoring.drawing.lines import spark

ALERT_STATES = ("open", "acknowledged", "resolved")
FLEET_WORDS = {
    "alert": "needs a look",
    "acknowledged": "looked after",
    "near_limit": "near its limit",
    "silent": "silent",
    "provisional": "provisional only",
    "fine": "fine",
}
TONES = {
    "alert": "bad",
    "acknowledged": "warn",
    "near_limit": "warn",
    "silent": "warn",
    "provisional": "",
    "fine": "good",
}
MOST_ALERTS = 20


def monitors(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """All models; `q`, `state` and `page` in the address choose which, `alerts` which alerts stand beneath."""
    query = {
        "q": params.get("q", "")[:200],
        "state": params.get("state", "") if params.get("state") in FLEET_WORDS else "",
        "alerts": params.get("alerts", "") if params.get("alerts") in ALERT_STATES else "",
    }
    number = params.get("page", "")
    page = int(number) if number.isdecimal() and len(number) < 7 and int(number) else 1
    fleet = call("monitoring.fleet", q=query["q"], state=query["state"], page=page)
    for row in fleet["rows"]:
        row["lines"] = [spark(metric["points"], metric["limit"]) for metric in row["metrics"]]
        row["share"] = row["labelled"] / row["predictions"] if row["predictions"] else None
    return {
        "fleet": fleet,
        "words_of": FLEET_WORDS,
        "tones": TONES,
        "query": query,
        "sentence": sentence(fleet["counts"]),
        "alerts": call("monitoring.alerts", state=query["alerts"] or "open", limit=MOST_ALERTS),
    }


def sentence(counts: Mapping[str, int]) -> str:
    """The fleet in one sentence."""
    total = sum(counts.values())
    if not total:
        return ""
    needy = [
        f"{counts[state]} {_said(state, counts[state])}" for state in FLEET_WORDS if state != "fine" and counts[state]
    ]
    if not needy:
        return "All is fine." if total > 1 else "It is fine."
    return f"{', '.join(needy)}; {counts['fine']} of {total} fine."


def _said(state: str, count: int) -> str:
    word = FLEET_WORDS[state]
    return word if count == 1 else word.replace("needs", "need").replace("its limit", "their limits")


PAGES = (Page("/monitors", "monitors.html", monitors, tab="monitors"),)

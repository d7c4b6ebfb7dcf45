"""What changed in the data of one model: features over time as a heat map, and each of them then and now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Page, attempted
from loopline.usecases.monitoring.web_monitor import head, windows_of

QUALITY = {"missing": "missing", "unknown": "never seen in training", "out_of_contract": "out of contract"}


def drift(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Drift over time and in one window; `window` (a start) in the address chooses it."""
    name = params["endpoint"]
    windows = windows_of(call, name)
    chosen = chosen_window(windows, params.get("window", ""))
    return {
        **head(call, name),
        "chosen": chosen,
        "around": around(windows, chosen),
        "drift": attempted(call, "monitoring.drift", endpoint=name, start=chosen["start"]) if chosen else None,
        "quality": quality(chosen),
        "quality_words": QUALITY,
        "query": {"window": params.get("window", "")},
    }


def chosen_window(windows: Sequence[Mapping[str, Any]], start: str) -> Mapping[str, Any] | None:
    """The window that the address names, else the newest complete one, else the newest."""
    named = [window for window in windows if window["start"] == start]
    complete = [window for window in windows if window["complete"]]
    candidates = named or complete or windows
    return candidates[-1] if candidates else None


def around(windows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any] | None) -> dict[str, str]:
    """The starts of the windows before and after the chosen one, '' where there is none."""
    starts = ["", *(window["start"] for window in windows), ""]
    place = starts.index(chosen["start"]) if chosen else 0
    return {"before": starts[place - 1], "after": starts[place + 1]} if chosen else {"before": "", "after": ""}


def quality(chosen: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The shares of wrong values by input, the largest first; only inputs that have any."""
    shares = chosen["quality"] if chosen else {}
    names = sorted({name for kind in QUALITY for name, share in shares.get(kind, {}).items() if share})
    rows = [{"name": name, **{kind: shares.get(kind, {}).get(name) for kind in QUALITY}} for name in names]
    return sorted(rows, key=lambda row: -max(row[kind] or 0 for kind in QUALITY))


PAGES = (Page("/monitors/{endpoint}/drift", "drift.html", drift, tab="monitors"),)

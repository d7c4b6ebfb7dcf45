"""What changed in the data of one model: features over time as a heat map, and each of them then and now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.pages import Call, Page
from loopline.usecases.monitoring.drawing.bars import distribution
from loopline.usecases.monitoring.drawing.heat import heat
from loopline.usecases.monitoring.drawing.lines import drawn
from loopline.usecases.monitoring.web_monitor import head, history, windows_of

QUALITY = {"missing": "missing", "unknown": "never seen in training", "out_of_contract": "out of contract"}


def drift(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Drift over time and in one window; `window` (a start) in the address chooses it."""
    name = params["endpoint"]
    windows = windows_of(call, name)
    chosen = chosen_window(windows, params.get("window", ""))
    report, why = reported(call, name, chosen)
    return {
        **head(call, name),
        "chosen": chosen,
        "around": around(windows, chosen),
        "heat": heat(history(call, name)),
        "drift": report,
        "why": why,
        "quality": quality(chosen),
        "quality_words": QUALITY,
        "query": {"window": params.get("window", "")},
    }


def feature(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One feature then and now, and over time; `window` (a start) in the address chooses."""
    name, wanted = params["endpoint"], params["feature"]
    windows = windows_of(call, name)
    chosen = chosen_window(windows, params.get("window", ""))
    report, why = reported(call, name, chosen)
    column = next((one for one in report["columns"] if one["name"] == wanted), None) if report else None
    cells = [cell for cell in history(call, name) if cell["column"] == wanted]
    return {
        **head(call, name),
        "feature": wanted,
        "chosen": chosen,
        "around": around(windows, chosen),
        "report": report,
        "why": why,
        "column": column,
        "shape": distribution(column) if column else None,
        "courses": courses(wanted, cells, windows),
        "query": {"window": params.get("window", "")},
    }


def reported(call: Call, endpoint: str, chosen: Mapping[str, Any] | None) -> tuple[Any, str]:
    """The drift report of a window, or why there is none."""
    if chosen is None:
        return None, "No window has been evaluated yet."
    try:
        return call("monitoring.drift", endpoint=endpoint, start=chosen["start"]), ""
    except LooplineError as error:
        return None, f"{error.message} {error.hint}".strip()


def courses(
    name: str, cells: Sequence[Mapping[str, Any]], windows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What is known of one feature over time: its effect, its evidence, what of it is missing."""
    unit = next((str(cell["unit"]) for cell in cells if cell["unit"]), "")
    told = [
        (
            "Effect against the reference" + (f", {unit}" if unit else ""),
            [[c["start"], c["effect"]] for c in cells],
            None,
        ),
        (
            "Evidence of a lasting change: digits of the e-value (2 is 1 in 100)",
            [[c["start"], None if c["e_value"] is None else math.log10(max(c["e_value"], 1.0))] for c in cells],
            0.0,
        ),
        (
            "Share of rows in which it is missing",
            [[one["start"], one["quality"].get("missing", {}).get(name)] for one in windows],
            0.0,
        ),
    ]
    found = []
    for label, points, least in told:
        known = [point for point in points if point[1] is not None]
        plot = {"x": "time", "from": least, "series": [{"name": name, "points": known}]}
        if len(known) > 1 and any(point[1] for point in known):
            found.append({"label": label, "drawn": drawn(plot, 520, 200)})
    return found


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


PAGES = (
    Page("/monitors/{endpoint}/drift", "drift.html", drift, tab="monitors"),
    Page("/monitors/{endpoint}/features/{feature:path}", "feature.html", feature, tab="monitors"),
)

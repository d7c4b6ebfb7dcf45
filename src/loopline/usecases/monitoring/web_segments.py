"""How good one model is for whom: by version, by segment, and by protected group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Page, attempted
from loopline.usecases.monitoring.drawing.lines import spark
from loopline.usecases.monitoring.web_drift import around, chosen_window
from loopline.usecases.monitoring.web_monitor import head, score_names, windows_of

MOST_VALUES = 40


def segments(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """Each segment column in one window, the worst value first; `window` and `metric` in the address choose."""
    name = params["endpoint"]
    above = head(call, name)
    windows = windows_of(call, name)
    scores = score_names(windows)
    metric = params.get("metric", "") if params.get("metric") in scores else above["summary"]["metric"]
    chosen = chosen_window(windows, params.get("window", ""))
    columns = dict.fromkeys(["version", *(above["rules"].get("slices") or ())])
    found = [segment(call, name, column, chosen, metric, above["summary"]["limits"].get(metric)) for column in columns]
    return {
        **above,
        "chosen": chosen,
        "around": around(windows, chosen),
        "metric": metric,
        "scores": scores,
        "segments": [one for one in found if one["parts"]],
        "fairness": fairness(
            call, name, chosen if params.get("window") else None, above["rules"].get("protected") or ()
        ),
        "whole": chosen["metrics"].get(metric) if chosen else None,
        "query": {"window": params.get("window", ""), "metric": params.get("metric", "")},
    }


def segment(
    call: Call, endpoint: str, column: str, chosen: Mapping[str, Any] | None, metric: str, limit: float | None
) -> dict[str, Any]:
    """The values of one column in the chosen window, each with its course over time, the worst first."""
    windows = attempted(call, "monitoring.windows", endpoint=endpoint, column=column) or ()
    parts = [dict(one) for one in windows if chosen and one["start"] == chosen["start"]]
    parts.sort(key=lambda one: (metric not in one["metrics"], one["metrics"].get(metric, 0)))
    for part in parts[:MOST_VALUES]:
        part["line"] = spark(course(windows, part["value"], metric), limit)
    return {"column": column, "parts": parts[:MOST_VALUES], "more": max(len(parts) - MOST_VALUES, 0)}


def fairness(call: Call, endpoint: str, chosen: Mapping[str, Any] | None, protected: Sequence[str]) -> Any:
    """How rates differ between protected groups: in the window that the address names, else over the last 28 days.
    None where no column is declared protected."""
    if not protected:
        return None
    span = {"since": chosen["start"], "until": chosen["end"]} if chosen else {}
    found = attempted(call, "monitoring.fairness", endpoint=endpoint, **span)
    for column in found["columns"] if found else ():
        column["rates"] = list(dict.fromkeys(name for group in column["groups"] for name in group["rates"]))
    return found


def course(windows: Sequence[Mapping[str, Any]], value: str, metric: str, most: int = 30) -> list[float | None]:
    """A metric of one value of a segment over the newest windows, oldest first."""
    return [one["metrics"].get(metric) for one in windows if one["value"] == value][-most:]


PAGES = (Page("/monitors/{endpoint}/segments", "segments.html", segments, tab="monitors"),)

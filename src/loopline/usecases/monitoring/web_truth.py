"""Truth of one model: how late it comes, how much of it has come, and how wrong estimates before it were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Page
from loopline.usecases.monitoring.drawing.lines import drawn
from loopline.usecases.monitoring.web_monitor import head, windows_of


def truth(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What has arrived by window, and what was counted on the way."""
    name = params["endpoint"]
    windows = windows_of(call, name)
    return {**head(call, name), "arrived": drawn(arrived_plot(windows), height=190) if windows else None}


def arrived_plot(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The share of each window's predictions whose truth has come."""
    shown = [one for one in windows if one["predictions"]]
    series = {
        "name": "share with truth",
        "points": [[one["start"], one["labelled"] / one["predictions"]] for one in shown],
        "hollow": [place for place, one in enumerate(shown) if not one["mature"]],
    }
    return {"x": "time", "from": 0, "to": 1, "series": [series]}


PAGES = (Page("/monitors/{endpoint}/truth", "truth.html", truth, tab="monitors"),)

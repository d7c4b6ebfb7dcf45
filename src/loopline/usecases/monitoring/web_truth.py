"""Truth of one model: how late it comes, how much of it has come, and how wrong estimates before it were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.pages import Call, Page, attempted
from loopline.usecases.monitoring.drawing.lines import drawn
from loopline.usecases.monitoring.web_monitor import head, windows_of


def truth(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """What has arrived by window and by age, and how wrong estimates were; `metric` in the address chooses of which."""
    name = params["endpoint"]
    above, windows = head(call, name), windows_of(call, name)
    record = attempted(call, "monitoring.estimate_errors", endpoint=name) or {"errors": [], "windows": []}
    metrics = list(dict.fromkeys(one["metric"] for one in record["errors"]))
    own = above["summary"]["metric"]
    metric = (
        params.get("metric", "") if params.get("metric") in metrics else own if own in metrics else (metrics or [""])[0]
    )
    said = [one for one in record["windows"] if one["metric"] == metric and one["first_value"] is not None]
    plot = record_plot(said)
    curve = delay_plot(above["summary"]["label_delay"])
    reliability = calibration_plot(attempted(call, "monitoring.calibration", endpoint=name))
    return {
        **above,
        "arrived": drawn(arrived_plot(windows), 520, 210) if windows else None,
        "curve": curve and drawn(curve, 520, 210),
        "reliability": reliability and drawn(reliability, 520, 330),
        "errors": record["errors"],
        "metrics": metrics,
        "metric": metric,
        "record": said[::-1],
        "plot": plot,
        "drawn": plot and drawn(plot),
        "query": {"metric": params.get("metric", "")},
    }


def record_plot(said: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What was estimated of windows, with its band, beside what came true."""
    told = [one for one in said if one["realized"] is not None]
    if not told:
        return None
    band = [[one["start"], one["first_low"], one["first_high"]] for one in told if one["first_low"] is not None]
    estimated = {"name": "estimated", "points": [[one["start"], one["first_value"]] for one in told], "band": band}
    realized = {"name": "realized", "points": [[one["start"], one["realized"]] for one in told], "paint": 1}
    return {"x": "time", "series": [realized, estimated | {"dashed": True, "paint": 2}]}


def delay_plot(delay: Mapping[str, Any]) -> dict[str, Any] | None:
    """The share of predictions whose truth has come, by hours since the event."""
    points = [list(pair) for pair in zip(delay.get("hours") or (), delay.get("shares") or (), strict=False)]
    if len(points) < 2:
        return None
    ever = delay["expected_share"]
    limits = [] if ever is None else [{"at": ever, "text": f"{100 * ever:.0f} % ever"}]
    return {
        "from": 0,
        "to": 1,
        "series": [{"name": "share with truth", "points": points, "silent": True}],
        "limits": limits,
    }


def calibration_plot(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How often what was predicted came true, beside what would be right; None where predictions are no probabilities."""
    bins = [one for one in (found or {}).get("bins") or () if one["rows"]]
    if len(bins) < 2:
        return None
    observed = {
        "name": "came true",
        "points": [[one["predicted"], one["observed"]] for one in bins],
        "band": [[one["predicted"], one["low"], one["high"]] for one in bins if one["low"] is not None],
    }
    ends = [bins[0]["predicted"], bins[-1]["predicted"]]
    right = {"name": "would be right", "points": [[at, at] for at in ends], "dashed": True, "silent": True}
    return {"series": [observed, right]}


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

"""Charts of metrics: which there are, how they are chosen in the address, and their points as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loopline.core.pages import Call
from loopline.core.times import from_ms

POINTS = 1000
DRAWN = 8  # so many charts come with their points, the others get theirs when they are scrolled to
READ = 1_500_000  # and no more once so many points were read
TABLE_ROWS = 100
SYSTEM = "system"
AXES = {"step": "Step", "time": "Time", "relative": "Since the start"}
SCALES = {"linear": "Linear", "log": "Logarithmic"}
BEST = {"": "Value", "lowest": "Lowest so far", "highest": "Highest so far"}
TOGETHER = {"": "Each alone", "name": "Same last name together"}


def choices(params: Mapping[str, str]) -> dict[str, Any]:
    """How the charts are wanted; what the address says wrongly counts as not said."""
    try:
        smooth = min(max(float(params.get("smooth") or 0), 0.0), 0.999)
    except ValueError:
        smooth = 0.0
    return {
        "x": one_of(AXES, params.get("x", ""), "step"),
        "scale": one_of(SCALES, params.get("scale", ""), "linear"),
        "best": one_of(BEST, params.get("best", ""), ""),
        "together": one_of(TOGETHER, params.get("together", ""), ""),
        "smooth": smooth if smooth == smooth else 0.0,
        "wide": bool(params.get("wide")),
    }


def one_of(known: Mapping[str, str], asked: str, otherwise: str) -> str:
    """What was asked for when it exists."""
    return asked if asked in known else otherwise


def groups(keys: Iterable[str], together: str = "") -> list[dict[str, Any]]:
    """The charts, grouped by what stands before the first slash; what the machine did comes last.

    With `together` metrics of the same last name ("train/loss", "valid/loss") share a chart.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for key in sorted(keys):
        group, _, _ = key.partition("/") if "/" in key else ("", "", "")
        title = key
        if together and group != SYSTEM:
            group, title = "", key.rpartition("/")[2]
        found.setdefault(group, {}).setdefault(title, []).append(key)
    order = sorted(found, key=lambda name: (name == SYSTEM, name != "", name))
    return [
        {"name": name, "charts": [{"title": title, "keys": keys} for title, keys in found[name].items()]}
        for name in order
    ]


def chart(
    runs: Sequence[Mapping[str, Any]], keys: Sequence[str], title: str, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """A chart of metrics of runs, each {"id", "name"}, without its points."""
    several = len(runs) > 1
    series = [
        {
            "run": run["id"],
            "key": key,
            "name": (f"{run['name']} {key}" if len(keys) > 1 else run["name"]) if several else key,
        }
        for run in runs
        for key in keys
    ]
    names = ("x", "scale", "smooth", "best")
    spec = {"series": series, "points": POINTS, "curves": None, **{name: chosen[name] for name in names}}
    return {"title": title, "keys": list(keys), "spec": spec, "rows": [], "count": 0, "several": len(series) > 1}


def filled(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    """The chart with the points of its whole range, and their table."""
    spec = one["spec"]
    runs, keys = ([*dict.fromkeys(part[name] for part in spec["series"])] for name in ("run", "key"))
    asked = {name: spec[name] for name in ("x", "smooth", "best", "points")}
    curves = call("tracking.curves", runs=runs, keys=keys, **asked)
    count = sum(curve["count"] for curve in curves)
    rows = summaries(spec["series"], curves) if one["several"] else told(curves, spec["x"])
    return {**one, "spec": {**spec, "curves": curves}, "count": count, "rows": rows}


def with_points(call: Call, grouped: Sequence[Mapping[str, Any]], make: Any) -> list[dict[str, Any]]:
    """The groups with their charts made; the first of them with their points."""
    read, drawn, result = 0, 0, []
    for group in grouped:
        charts = []
        for one in group["charts"]:
            made = make(one)
            if drawn < DRAWN and read < READ and group["name"] != SYSTEM:
                made, drawn = filled(call, made), drawn + 1
                read += made["count"]
            charts.append(made)
        result.append({**group, "charts": charts})
    return result


def told(curves: Sequence[Mapping[str, Any]], axis: str) -> list[Sequence[Any]]:
    """The points of the first curve for a table; times as texts."""
    points = few(curves[0]["points"]) if curves else []
    return [(from_ms(round(x)), y) for x, y in points] if axis == "time" else points


def few(points: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """As many points as a table should have, extremes among them."""
    import numpy as np

    from loopline.usecases.tracking import curves

    if len(points) <= TABLE_ROWS:
        return list(points)
    x = np.array([point[0] for point in points], "float64")
    y = np.array([np.nan if point[1] is None else point[1] for point in points], "float64")
    return [points[place] for place in curves.thinned(x, y, TABLE_ROWS).tolist()]


def summaries(series: Sequence[Mapping[str, Any]], curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lowest, highest and last value of each of several curves; thinning keeps all three."""
    named = {(one["run"], one["key"]): one["name"] for one in series}
    rows = []
    for curve in curves:
        values = [y for _, y in curve["points"] if y is not None]
        told = {"lowest": min(values), "highest": max(values), "last": values[-1]} if values else {}
        name = named.get((curve["run_id"], curve["key"]), curve["key"])
        rows.append({"name": name, "run": curve["run_id"], "count": curve["count"], **told})
    return rows

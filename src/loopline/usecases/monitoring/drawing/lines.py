"""Lines over time with their bands, limits and marks. The same description feeds the drawing with script (chart.js)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from loopline.core.times import to_ms
from loopline.usecases.monitoring.drawing import ticks

LEFT, RIGHT, TOP, BOTTOM = 58, 14, 22, 26
LETTER = 6.6
Plot = Mapping[str, Any]
Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From a value between `low` and `high` to a place between `start` and `end` of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def drawn(plot: Plot, width: int = 960, height: int = 280) -> dict[str, Any] | None:
    """Where everything of a plot lies; None without a point.

    `plot` has `series` ([{name, points: [[x, y]], band: [[x, low, high]], hollow: [places], dashed}]), `marks` ([{at, text,
    tone}]), `limits` ([{at, text}]), `areas` ([{from, to, text}]: hatched), `x` ("time": ISO 8601, or numbers), `from` and `to` (bounds
    of the values) and `unit`.
    """
    where = ms if plot.get("x") == "time" else float
    xs = sorted({where(point[0]) for series in plot["series"] for point in series["points"]})
    if not xs:
        return None
    across = Scale(*_wide(xs, plot, where), LEFT, width - RIGHT)
    upward = Scale(*_tall(plot), height - BOTTOM, TOP)
    return {
        "width": width,
        "height": height,
        "left": LEFT,
        "right": width - RIGHT,
        "top": TOP,
        "bottom": height - BOTTOM,
        "ys": [
            {"at": upward(value), "text": ticks.number_text(value)} for value in ticks.numbers(upward.low, upward.high)
        ],
        "xs": _across(across, plot),
        "series": [_series(series, place, across, upward, where) for place, series in enumerate(plot["series"])],
        "limits": [{"y": upward(one["at"]), "text": one["text"]} for one in plot.get("limits", ())],
        "marks": _marks(plot.get("marks", ()), across, where),
        "areas": [_area(one, across, where) for one in plot.get("areas", ())],
        "unit": plot.get("unit", ""),
    }


def ms(at: str | float) -> float:
    """A time (ISO 8601, or a day of it) in milliseconds since 1970."""
    return float(to_ms(at)) if isinstance(at, str) else float(at)


def spark(
    values: Sequence[float | None], limit: float | None, width: float = 120, height: float = 26
) -> dict[str, Any]:
    """A line small enough for a cell of a table: its path, its last point, and where the limit lies."""
    known = [value for value in values if _usable(value)]
    edges = [*known, *([limit] if limit is not None else [])]
    if not known:
        return {}
    low, high = min(edges), max(edges)
    upward = Scale(low, high if high > low else low + 1, height - 3, 3)
    across = Scale(0, max(len(values) - 1, 1), 3, width - 3)
    points = [(across(place), upward(value)) if _usable(value) else None for place, value in enumerate(values)]
    last = next(point for point in reversed(points) if point is not None)
    return {
        "path": " ".join(runs(points)),
        "last": last,
        "limit": None if limit is None else upward(limit),
        "width": width,
        "height": height,
    }


def runs(points: Iterable[Point | None]) -> list[str]:
    """SVG paths through points; None ends one. A lone point is a short stroke, so that it can be seen."""
    found: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [_path(run) for run in found if run]


def _path(run: list[Point]) -> str:
    steps = [f"{x:g} {y:g}" for x, y in (run if len(run) > 1 else [*run, (run[0][0] + 0.1, run[0][1])])]
    return "M" + "L".join(steps)


def _usable(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _wide(xs: Sequence[float], plot: Plot, where: Any) -> tuple[float, float]:
    ends = [where(area[edge]) for area in plot.get("areas", ()) for edge in ("from", "to")]
    low, high = min([*xs, *ends]), max([*xs, *ends])
    room = (high - low or (ticks.DAY if plot.get("x") == "time" else 1)) * 0.015
    return low - room, high + room


def _tall(plot: Plot) -> tuple[float, float]:
    values = [point[1] for series in plot["series"] for point in series["points"]]
    values += [edge for series in plot["series"] for band in series.get("band", ()) for edge in band[1:]]
    values += [limit["at"] for limit in plot.get("limits", ())]
    usable = [value for value in values if _usable(value)] or [0.0]
    low, high = min(usable), max(usable)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    least, most = plot.get("from"), plot.get("to")
    return low - room if least is None else min(least, low), high + room if most is None else max(most, high)


def _across(scale: Scale, plot: Plot) -> list[dict[str, Any]]:
    if plot.get("x") == "time":
        told = ticks.times(scale.low, scale.high)
    else:
        told = [(value, ticks.number_text(value)) for value in ticks.numbers(scale.low, scale.high, 7)]
    return [{"at": scale(at), "text": text, "anchor": _anchor(scale(at), text, scale)} for at, text in told]


def _anchor(x: float, text: str, scale: Scale) -> str:
    """On which side of its place a label stands, so that the drawing's edge does not cut it."""
    return "end" if x + LETTER * len(text) / 2 > scale.end + RIGHT else "middle"


def _series(series: Mapping[str, Any], place: int, across: Scale, upward: Scale, where: Any) -> dict[str, Any]:
    hollow = set(series.get("hollow", ()))
    points = [(across(where(x)), upward(y)) if _usable(y) else None for x, y in series["points"]]
    told = zip(points, series["points"], strict=True)
    dots = [
        {
            "x": point[0],
            "y": point[1],
            "hollow": at in hollow,
            "text": f"{str(x)[:16]}: {ticks.number_text(round(y, 4))}",
        }
        for at, (point, (x, y)) in enumerate(told)
        if point is not None
    ]
    return {
        "name": series["name"],
        "paint": series.get("paint", place % 6 + 1),
        "dashed": bool(series.get("dashed")),
        "paths": runs(points),
        "bands": _bands(series.get("band", ()), across, upward, where),
        "dots": dots if len(dots) <= 120 and not series.get("silent") else [],
    }


def _bands(band: Sequence[Any], across: Scale, upward: Scale, where: Any) -> str:
    """One closed path along the upper edges and back along the lower ones."""
    edges = [(across(where(x)), upward(low), upward(high)) for x, low, high in band]
    if len(edges) == 1:
        x, low, high = edges[0]
        edges = [(x - 3, low, high), (x + 3, low, high)]
    over = [f"{x:g} {high:g}" for x, _, high in edges]
    under = [f"{x:g} {low:g}" for x, low, _ in reversed(edges)]
    return f"M{'L'.join([*over, *under])}Z" if edges else ""


def _marks(marks: Sequence[Mapping[str, Any]], across: Scale, where: Any) -> list[dict[str, Any]]:
    """Vertical lines; the text of one that would run into the one before is left to its title."""
    shown = sorted((mark for mark in marks if across.holds(where(mark["at"]))), key=lambda mark: where(mark["at"]))
    places = [across(where(mark["at"])) for mark in shown]
    taken = -math.inf
    found = []
    for x, mark in zip(places, shown, strict=True):
        long = LETTER * len(mark["text"])
        left = x + long > across.end
        room = x > taken and not (left and x - long < taken)
        found.append({"x": x, "text": mark["text"], "tone": mark.get("tone", ""), "shown": room, "left": left})
        taken = (x if left else x + long + 8) if room else taken
    return found


def _area(area: Mapping[str, Any], across: Scale, where: Any) -> dict[str, Any]:
    start, end = across(where(area["from"])), across(where(area["to"]))
    return {"x": start, "width": max(round(end - start, 1), 1.0), "text": area.get("text", "")}

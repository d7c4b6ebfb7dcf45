"""The graph of a run as boxes in layers, each beneath all that it needs, with lines that pass between boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDE, HIGH, GAP, DROP, LANE, APART = 226, 56, 22, 44, 4, 12
MOST_LAYERS, MOST_BESIDE, MOST_LANES = 40, 10, 12
LETTER, SMALL = 7.6, 6.2
FIRST = {"failed": 0, "running": 1, "cancelled": 2, "waiting": 3}
GLYPHS = {
    "hit": "M6 0.500 11.500 6 6 11.500 0.500 6z",
    "ran": "M1 6.500 4.500 10 11 2",
    "failed": "M1.500 1.500 10.500 10.500 M10.500 1.500 1.500 10.500",
    "running": "M2 0.500 11 6 2 11.500z",
    "cancelled": "M1.500 1.500h9v9h-9z",
    "skipped": "M1 6h10",
    "waiting": "M6 1a5 5 0 1 0 0.010 0z",
}
"""A shape for each state, in a square of 12."""

Step = Mapping[str, Any]


def drawing(steps: Sequence[Step]) -> dict[str, Any]:
    """Boxes, lines and size of the picture of a run's steps. What has no room is counted: `layers` there are, those from
    `first` to `last` are drawn, `left` steps of these are not."""
    depth = depths(steps)
    layers: dict[int, list[Step]] = defaultdict(list)
    for step in steps:
        layers[depth[step["label"]]].append(step)
    first, last = window(layers)
    kept = {step["label"]: step for place in range(first, last + 1) for step in chosen(layers[place])}
    rows = placed(kept, depth, first, last)
    width = max((right(row) for row in rows), default=WIDE) + 14
    centred(rows, width)
    boxes = {item["label"]: item for row in rows for item in row if "step" in item}
    return {
        "boxes": list(boxes.values()),
        "lines": [line(ways) for ways in routes(kept, rows, boxes)],
        "width": round(width),
        "height": round(len(rows) * (HIGH + DROP) - DROP + 12),
        "beside": max((sum("step" in item for item in row) for row in rows), default=0),
        "layers": len(layers),
        "first": first + 1,
        "last": last + 1,
        "left": sum(len(layers[place]) for place in range(first, last + 1)) - len(kept),
    }


def depths(steps: Sequence[Step]) -> dict[str, int]:
    """How many lines the longest way to each step has; each stands after those that it needs."""
    depth: dict[str, int] = {}
    for step in steps:
        depth[step["label"]] = max((depth[need] + 1 for need in step["needs"] if need in depth), default=0)
    return depth


def window(layers: Mapping[int, Sequence[Step]]) -> tuple[int, int]:
    """The first and last layer to draw: all, or those around what failed or runs."""
    last = len(layers) - 1
    if len(layers) <= MOST_LAYERS:
        return 0, last
    busy = [(FIRST[step["status"]], place) for place in layers for step in layers[place] if step["status"] in FIRST]
    middle = min(busy, default=(0, 0))[1]
    first = min(max(0, middle - MOST_LAYERS // 2), last - MOST_LAYERS + 1)
    return first, first + MOST_LAYERS - 1


def chosen(layer: Sequence[Step]) -> Sequence[Step]:
    """The steps of a layer that have room; those that failed or run first."""
    if len(layer) <= MOST_BESIDE:
        return layer
    best = sorted(layer, key=lambda step: FIRST.get(step["status"], 9))[:MOST_BESIDE]
    labels = {step["label"] for step in best}
    return [step for step in layer if step["label"] in labels]


def placed(kept: Mapping[str, Step], depth: Mapping[str, int], first: int, last: int) -> list[list[dict[str, Any]]]:
    """Boxes row by row, and lanes for lines that pass a row; few lines cross when a row follows the one above."""
    rows: list[list[dict[str, Any]]] = [[] for _ in range(first, last + 1)]
    for label, step in kept.items():
        rows[depth[label] - first].append(box(step, (depth[label] - first) * (HIGH + DROP) + 4))
        for need in step["needs"]:
            for place in range(depth.get(need, 0) + 1, depth[label]) if need in kept else ():
                if sum("lane" in item for item in rows[place - first]) < MOST_LANES:
                    rows[place - first].append(
                        {"lane": (need, label), "from": need, "wide": LANE, "y": (place - first) * (HIGH + DROP) + 4}
                    )
    centres: dict[Any, float] = {}
    for row in rows:
        row.sort(key=lambda item: above(item, centres))
        x = 2.0
        for item in row:
            item["x"] = x
            centres[item.get("lane") or item["label"]] = x + item["wide"] / 2
            x += item["wide"] + (APART if "lane" in item else GAP)
    return rows


def above(item: Mapping[str, Any], centres: Mapping[Any, float]) -> float:
    """Where those stand on average that lead to a box or lane."""
    needs = [item["from"]] if "lane" in item else item["step"]["needs"]
    places = [centres[need] for need in needs if need in centres]
    return sum(places) / len(places) if places else 0.0


def right(row: Sequence[Mapping[str, Any]]) -> float:
    """Where a row ends."""
    return float(max((item["x"] + item["wide"] for item in row), default=0.0))


def centred(rows: Iterable[Sequence[dict[str, Any]]], width: float) -> None:
    """Each row in the middle of the picture."""
    for row in rows:
        shift = (width - right(row)) / 2
        for item in row:
            item["x"] = round(item["x"] + shift, 1)


def box(step: Step, y: float) -> dict[str, Any]:
    """A step as a box."""
    return {
        "step": step,
        "label": step["label"],
        "shown": fitted(step["label"], (WIDE - 46) / LETTER),
        "said": fitted(detail(step), (WIDE - 22) / SMALL),
        "told": detail(step),
        "several": step["kind"] != "step",
        "glyph": GLYPHS.get(step["status"], GLYPHS["waiting"]),
        "wide": WIDE,
        "y": y,
    }


def detail(step: Step) -> str:
    """How a step stands, in words; of a map the calls by how they stand."""
    if step["calls"]:
        told = ", ".join(f"{number:,} {status}" for status, number in sorted(step["counts"].items(), key=rank))
        return f"{step['calls']:,} {'trials' if step['kind'] == 'search' else 'calls'}: {told}"
    took = step["seconds"] if step["status"] in ("ran", "failed") else 0
    tries = f", {step['attempts']} attempts" if step["attempts"] > 1 else ""
    return f"{step['status']}{f', {short(took)}' if took else ''}{tries}"


def short(seconds: float) -> str:
    """A duration in a box."""
    if seconds < 0.001:
        return "< 1 ms"
    return f"{1000 * seconds:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def rank(count: tuple[str, int]) -> int:
    """What went wrong is told first: it may not fall off the end."""
    return ["failed", "running", "cancelled", "hit", "ran", "waiting", "skipped"].index(count[0])


def fitted(text: str, room: float) -> str:
    """The text as far as there is room for so many letters."""
    most = int(room)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def routes(
    kept: Mapping[str, Step], rows: Sequence[Sequence[dict[str, Any]]], boxes: Mapping[str, dict[str, Any]]
) -> Iterable[list[tuple[float, float]]]:
    """The points that each line passes, from the bottom of a box to the top of one that needs it."""
    lanes: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        for item in row:
            if "lane" in item:
                lanes[item["lane"]].append(item)
    for label, step in kept.items():
        for need in (need for need in step["needs"] if need in boxes):
            passed = [
                point
                for lane in lanes[need, label]
                for point in ((lane["x"] + LANE / 2, lane["y"]), (lane["x"] + LANE / 2, lane["y"] + HIGH))
            ]
            start, end = boxes[need], boxes[label]
            yield [(start["x"] + WIDE / 2, start["y"] + HIGH), *passed, (end["x"] + WIDE / 2, end["y"] - 3)]


def line(points: Sequence[tuple[float, float]]) -> str:
    """A curve through points, leaving and arriving downwards."""
    (x, y), *rest = points
    path = f"M{x:.1f} {y:.1f}"
    for to_x, to_y in rest:
        half = (to_y - y) / 2
        path += f" C{x:.1f} {y + half:.1f} {to_x:.1f} {to_y - half:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return path

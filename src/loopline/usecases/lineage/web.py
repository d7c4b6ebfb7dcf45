"""The pages of lineage: the walk from a prediction back, and from a snapshot on, drawn as a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from loopline.core.errors import LooplineError
from loopline.core.pages import Call, Page

WIDTH, BOX, ROW, TOP = 1160, 58, 96, 26
MOST_ALIKE = {"batch": 3}
MOST_OTHERS = 7
LETTER = 7.8


def trace(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """From a prediction to the data behind it."""
    return {"back": True, **walked(call, "lineage.trace", "prediction", params.get("prediction", ""))}


def impact(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """From a snapshot or batch to all that it touched."""
    return {"back": False, **walked(call, "lineage.impact", "snapshot", params.get("snapshot", ""))}


def walked(call: Call, verb: str, field: str, text: str) -> dict[str, Any]:
    """The walk that was asked for, with its drawing; or why there is none."""
    text = text.strip()[:200]
    if not text:
        return {"asked": "", "walk": None, "drawing": None, "mistake": None}
    try:
        walk = call(verb, **{field: text})
    except LooplineError as error:
        return {"asked": text, "walk": None, "drawing": None, "mistake": error}
    nodes = [{**node, "address": address(node)} for node in walk["nodes"]]
    return {"asked": text, "walk": {**walk, "nodes": nodes}, "drawing": drawing(nodes, walk["edges"]), "mistake": None}


def address(node: Mapping[str, Any]) -> str:
    """The page that tells more about a node, or ''."""
    ref = {key: quote(str(value), safe="") for key, value in node["ref"].items()}
    places = {
        "prediction": "/endpoints/{endpoint}",
        "revision": "/endpoints/{endpoint}",
        "version": "/models/{model}#v{version}",
        "run": "/runs/{run}",
        "code": "/runs/{run}/steps/{step}",
        "snapshot": "/snapshots/{snapshot}",
        "batch": "/impact?snapshot={batch}",
    }
    try:
        return places.get(node["kind"], "").format_map(ref)
    except KeyError:
        return ""


def drawing(nodes: Sequence[dict[str, Any]], edges: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Boxes in columns by their distance from the beginning, and curves between them."""
    nodes, edges = gathered(nodes, edges)
    columns = ordered(nodes, edges)
    rows = max(len(column) for column in columns.values())
    pitch = WIDTH / max(len(columns), 4)
    wide = pitch - 34
    boxes = {
        node["id"]: {
            **node,
            "x": round(2 + place * pitch, 1),
            "y": round(TOP + (rows - len(column)) * ROW / 2 + row * ROW, 1),
            "shown": fitted(node["title"], wide, node["kind"] == "batch"),
            "reached": next((edge["what"] for edge in edges if edge["target"] == node["id"]), ""),
        }
        for place, column in columns.items()
        for row, node in enumerate(column)
    }
    curves = [curve(boxes[edge["source"]], boxes[edge["target"]], wide) for edge in edges]
    return {"boxes": list(boxes.values()), "curves": curves, "box": round(wide, 1), "height": TOP + rows * ROW - 24}


def gathered(
    nodes: Sequence[dict[str, Any]], edges: Sequence[Mapping[str, str]]
) -> tuple[list[dict[str, Any]], list[Mapping[str, str]]]:
    """Of many things of one kind that hang on the same one, the first few and a box that counts the rest."""
    source = {edge["target"]: edge["source"] for edge in edges}
    leads = {edge["source"] for edge in edges}
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in nodes:
        if node["id"] not in leads:
            alike[source.get(node["id"], ""), node["kind"]].append(node["id"])
    hidden: dict[str, str] = {}
    counts: dict[str, dict[str, Any]] = {}
    for (origin, kind), ids in alike.items():
        most = MOST_ALIKE.get(kind, MOST_OTHERS)
        if len(ids) > most + 1:
            name = f"more {origin} {kind}"
            title = f"and {len(ids) - most} more"
            counts[name] = {"id": name, "kind": kind, "title": title, "lines": [], "at": "", "address": "", "ref": {}}
            hidden |= dict.fromkeys(ids[most:], name)
    kept = [node for node in nodes if node["id"] not in hidden]
    lines = {(edge["source"], hidden.get(edge["target"], edge["target"])): edge for edge in reversed(edges)}
    joined = [{**edge, "source": start, "target": end} for (start, end), edge in reversed(lines.items())]
    return [*kept, *counts.values()], list(joined)


def ordered(nodes: Sequence[dict[str, Any]], edges: Sequence[Mapping[str, str]]) -> dict[int, list[dict[str, Any]]]:
    """The nodes by column, each column in the order of what its nodes hang on, so that few curves cross."""
    columns: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for name, depth in depths(nodes, edges).items():
        columns[depth] += [node for node in nodes if node["id"] == name]
    places: dict[str, int] = {}
    for depth in sorted(columns):
        found = {
            node["id"]: [places.get(edge["source"], 0) for edge in edges if edge["target"] == node["id"]]
            for node in columns[depth]
        }
        columns[depth].sort(key=lambda node: min(found[node["id"]], default=0))
        places |= {node["id"]: place for place, node in enumerate(columns[depth])}
    return columns


def depths(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """How many edges the longest way from the beginning to each node has."""
    depth = {node["id"]: 0 for node in nodes}
    for _ in nodes:
        moved = False
        for edge in edges:
            further = depth[edge["source"]] + 1
            if depth[edge["target"]] < further <= len(nodes):
                depth[edge["target"]] = further
                moved = True
        if not moved:
            break
    return depth


def curve(source: Mapping[str, Any], target: Mapping[str, Any], wide: float) -> str:
    """The path from the right of one box to the left of another."""
    x, y, to_x, to_y = source["x"] + wide, source["y"] + BOX / 2, target["x"] - 3, target["y"] + BOX / 2
    middle = (x + to_x) / 2
    return f"M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"


def fitted(text: str, wide: float, end: bool = False) -> str:
    """As much of a text as fits into a box: its beginning, or its `end`."""
    most = int((wide - 24) / LETTER)
    if len(text) <= most:
        return text
    return "…" + text[1 - most :] if end else text[: most - 1] + "…"


PAGES = (
    Page("/trace", "walk.html", trace, tab="trace"),
    Page("/impact", "walk.html", impact, tab="trace"),
)

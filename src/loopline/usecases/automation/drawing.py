"""The graph of what starts what, as boxes and curves and as indented text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

PITCH, WIDE, ROW, HIGH, TOP = 250, 206, 82, 56, 12
LETTER = 7.9
Nodes = Sequence[Mapping[str, Any]]
Edges = Sequence[Mapping[str, Any]]


def drawing(nodes: Nodes, edges: Edges) -> dict[str, Any]:
    """Boxes in columns, each right of all that leads to it, and curves between them; sizes in units of the picture."""
    columns: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    depth = depths([node["id"] for node in nodes], edges)
    for node in nodes:
        columns[depth[node["id"]]].append(node)
    rows = max(map(len, columns.values()), default=1)
    boxes: dict[str, dict[str, Any]] = {}
    for place in sorted(columns):
        column = sorted(columns[place], key=lambda node: above(node["id"], edges, boxes))
        for row, node in enumerate(column):
            y = TOP + (rows - len(column)) * ROW / 2 + row * ROW
            boxes[node["id"]] = {**node, "x": 4 + place * PITCH, "y": round(y, 1), "shown": fitted(node["name"]),
                                 "said": fitted(node["detail"]), "address": address(node)}  # fmt: skip
    curves = [curve(boxes[edge["source"]], boxes[edge["target"]]) for edge in edges]
    width = max(4, len(columns)) * PITCH - (PITCH - WIDE) + 8
    return {"boxes": list(boxes.values()), "curves": curves, "wide": WIDE, "high": HIGH, "width": width,
            "height": TOP * 2 + rows * ROW - (ROW - HIGH)}  # fmt: skip


def depths(names: Sequence[str], edges: Edges) -> dict[str, int]:
    """How many edges the longest way to each node has; an edge that would close a circle does not count."""
    depth = dict.fromkeys(names, 0)
    follow: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        if edge["target"] != edge["source"] and edge["source"] not in reached(edge["target"], follow):
            follow[edge["source"]].append(edge["target"])
    for _ in names:
        for source, targets in follow.items():
            for target in targets:
                depth[target] = max(depth[target], depth[source] + 1)
    return depth


def reached(start: str, follow: Mapping[str, list[str]]) -> set[str]:
    """All that can be reached from a node."""
    found, waiting = {start}, [start]
    while waiting:
        for name in follow.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def above(name: str, edges: Edges, boxes: Mapping[str, Mapping[str, Any]]) -> float:
    """Where the boxes stand on average that lead to a node: few curves cross when a column follows it."""
    places = [boxes[edge["source"]]["y"] for edge in edges if edge["target"] == name and edge["source"] in boxes]
    return sum(places) / len(places) if places else 0.0


def curve(source: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    """The path from the right of one box to the left of another; back below both when that stands further left."""
    x, y, to_x, to_y = source["x"] + WIDE, source["y"] + HIGH / 2, target["x"] - 3, target["y"] + HIGH / 2
    if to_x > x:
        half = (to_x - x) / 2
        return f"M{x} {y:.1f} C{x + half:.1f} {y:.1f} {to_x - half:.1f} {to_y:.1f} {to_x} {to_y:.1f}"
    low = max(source["y"], target["y"]) + HIGH + 12
    return f"M{x} {y:.1f} C{x + 40} {low:.1f} {to_x - 40} {low:.1f} {to_x} {to_y:.1f}"


def fitted(text: str) -> str:
    """The text as far as a box has room."""
    most = int((WIDE - 24) / LETTER)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def address(node: Mapping[str, Any]) -> str:
    """The page that tells more about a node, or ''."""
    if node["kind"] == "policy":
        return f"/policies?policy={quote(node['name'], safe='')}"
    return {"gate": "/gates", "pipeline": "/pipelines"}.get(node["kind"], "")


def lines(nodes: Nodes, edges: Edges) -> Iterator[str]:
    """The graph as indented text: beneath each thing what it starts. What was told before is not told again."""
    known = {node["id"]: node for node in nodes}
    targets = {edge["target"] for edge in edges}
    told: set[str] = set()
    for root in [*(name for name in known if name not in targets), *known]:
        if root not in told:
            yield from _beneath(root, "", known, edges, told, 0)


def _beneath(
    name: str, label: str, known: Mapping[str, Mapping[str, Any]], edges: Edges, told: set[str], depth: int
) -> Iterator[str]:
    node = known[name]
    detail = f" ({node['detail']})" if node["detail"] else ""
    follow = [edge for edge in edges if edge["source"] == name]
    again = " …" if name in told and follow else ""
    yield f"{'  ' * depth}{label + ' ' if label else ''}{node['kind']} {node['name']}{detail}{again}"
    if name not in told:
        told.add(name)
        for edge in follow:
            yield from _beneath(edge["target"], edge["label"], known, edges, told, depth + 1)

"""The graph of what starts what, as boxes and curves and as indented text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

PITCH, WIDE, HIGH, ROW, LANE, TOP = 236, 194, 56, 80, 30, 12
LETTER, SMALL = 7.9, 6.2
WEAK = "takes in"  # true, but drawn it would hide the rest; the list tells it
Nodes = Sequence[Mapping[str, Any]]
Edges = Sequence[Mapping[str, Any]]
Place = tuple[int, str]


def drawing(nodes: Nodes, edges: Edges) -> dict[str, Any]:
    """Boxes in columns, each right of all that leads to it, and curves that pass between them; sizes in units of the
    picture."""
    shown = [edge for edge in edges if edge["label"] != WEAK]
    depth = depths([node["id"] for node in nodes], shown)
    ways = [way(edge, depth) for edge in shown]
    columns = arranged([node["id"] for node in nodes], depth, ways)
    tall = max((sum(room(name, depth) for name in column) for column in columns.values()), default=0)
    ys = {place: y for column, names in columns.items() for place, y in stacked(column, names, depth, tall)}
    boxes = [
        {**node, "x": 4 + depth[node["id"]] * PITCH, "y": ys[depth[node["id"]], node["id"]],
         "shown": fitted(name_of(node)), "said": fitted(said_of(node), SMALL), "address": address(node)}
        for node in nodes
    ]  # fmt: skip
    width = max(len(columns), 1) * PITCH - (PITCH - WIDE) + 8
    curves = [curve(places, ys) for places in ways]
    return {"boxes": boxes, "curves": curves, "wide": WIDE, "high": HIGH, "width": width, "height": TOP * 2 + tall}


def way(edge: Mapping[str, Any], depth: Mapping[str, int]) -> list[Place]:
    """Through which columns an edge goes: its ends, and a lane of its own in each column between."""
    first, last = depth[edge["source"]], depth[edge["target"]]
    lane = f"{edge['source']} → {edge['target']}"
    between = [(column, lane) for column in range(first + 1, last)]
    return [(first, edge["source"]), *between, (last, edge["target"])]


def arranged(names: Sequence[str], depth: Mapping[str, int], ways: Sequence[list[Place]]) -> dict[int, list[str]]:
    """The names in each column, boxes and lanes, in the order of what leads to them, so that few curves cross."""
    columns: dict[int, list[str]] = defaultdict(list)
    for name in names:
        columns[depth[name]].append(name)
    before: dict[Place, list[Place]] = defaultdict(list)
    for places in ways:
        for source, target in pairwise(places):
            before[target].append(source)
        for column, lane in places[1:-1]:
            columns[column].append(lane)
    row: dict[Place, float] = {}
    for column in sorted(columns):
        columns[column].sort(key=lambda name, column=column: middle(before[column, name], row))  # type: ignore[misc]
        row |= {(column, name): place / len(columns[column]) for place, name in enumerate(columns[column])}
    return columns


def middle(sources: Sequence[Place], row: Mapping[Place, float]) -> float:
    """Where on average the places stand that lead to one."""
    known = [row[source] for source in sources if source in row]
    return sum(known) / len(known) if known else 0.0


def room(name: str, depth: Mapping[str, int]) -> int:
    """How much of a column's height a box or a lane takes."""
    return ROW if name in depth else LANE


def stacked(column: int, names: Sequence[str], depth: Mapping[str, int], tall: int) -> Iterator[tuple[Place, float]]:
    """The upper edge of each box, and the height of each lane, of a column that stands in the middle."""
    y = TOP + (tall - sum(room(name, depth) for name in names)) / 2
    for name in names:
        yield (column, name), round(y + (0 if name in depth else LANE / 2 - HIGH / 2), 1)
        y += room(name, depth)


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


def curve(places: Sequence[Place], ys: Mapping[Place, float]) -> str:
    """The path from the right of one box to the left of another; back below them when that stands further left."""
    x, y = 4 + places[0][0] * PITCH + WIDE, ys[places[0]] + HIGH / 2
    path = f"M{x} {y:.1f}"
    for place in places[1:]:
        to_x, to_y = 4 + place[0] * PITCH - (3 if place == places[-1] else 0), ys[place] + HIGH / 2
        if to_x <= x:
            low = max(y, to_y) + HIGH
            return f"{path} C{x + 40} {low:.1f} {to_x - 40} {low:.1f} {to_x} {to_y:.1f}"
        half = (to_x - x) / 2
        path += f" C{x + half:.1f} {y:.1f} {to_x - half:.1f} {to_y:.1f} {to_x} {to_y:.1f}"
        x, y = to_x, to_y
        if place != places[-1]:
            x += WIDE
            path += f" L{x} {y:.1f}"
    return path


def name_of(node: Mapping[str, Any]) -> str:
    """What stands large in a box: of a fact the thing that it is about."""
    if node["kind"] != "fact":
        return str(node["name"])
    return node["name"].partition(" ")[2] or node["detail"] or "any"


def said_of(node: Mapping[str, Any]) -> str:
    """What stands small in a box: of a fact its kind."""
    if node["kind"] == "fact":
        return str(node["name"].partition(" ")[0])
    return f"{node['kind']}: {node['detail']}" if node["detail"] else str(node["kind"])


def fitted(text: str, letter: float = LETTER) -> str:
    """The text as far as a box has room."""
    most = int((WIDE - 24) / letter)
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

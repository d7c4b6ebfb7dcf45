"""One tool in its own environment: `python tool.py NAME PLACE '{"what": …}'` prints JSON on its last line.

`overhead`: a graph run with new salts, then with the first again, `rounds` times each, in this process.
`once`: a graph run once; of everything, or with `measure`, of the run alone.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import bodies
import tree
from graphs import GRAPHS, called


def opened(name: str, place: Path) -> Any:
    """The tool on its own state folder."""
    module = importlib.import_module("tools.plain" if name == "plain" else f"tools.with_{name}")
    return module.open_tool(place)


def overhead(tool: Any, graph: str, size: int, rounds: int) -> dict[str, Any]:
    """CPU and wall seconds of the best round, new and again, after a small run that loads what is loaded late. A wrong value, or a body that ran or did not, ends it."""
    tool.build("chain", GRAPHS["chain"](2))(-os.getpid(), None)
    nodes = GRAPHS[graph](size)
    run = tool.build(graph, nodes)
    found: dict[str, list[dict[str, float]]] = {"new": [], "again": []}
    counted: dict[str, list[int]] = {"new": [], "again": []}
    for kind in found:
        for number in range(rounds):
            salt = 10**9 * size + 10**7 * (number + 1 if kind == "new" else 1)
            before = bodies.RAN[0]
            took, value = tree.measured(lambda s=salt, k=kind: run(s, k == "again"))
            if value is not None and value != called(nodes, salt)[nodes[-1].name]:
                raise SystemExit(f"wrong value {value}")
            counted[kind].append(bodies.RAN[0] - before - (len(nodes) if value is not None else 0))
            found[kind].append(took)
    best = {kind: min(all_, key=lambda one: one["cpu"]) for kind, all_ in found.items()}
    return {"steps": len(nodes), **best, "bodies_again": max(counted["again"])}


def once(tool: Any, graph: str, size: int, salt: int, again: bool, measure: bool) -> dict[str, Any]:
    """Run a graph once; with `measure`, warmed up by a small one and measured without imports."""
    nodes = GRAPHS[graph](size)
    if measure:
        tool.build("chain", GRAPHS["chain"](2))(-os.getpid(), None)
    run = tool.build(graph, nodes)
    took, value = tree.measured(lambda: run(salt, again))
    return {"steps": len(nodes), **took, "value": value if isinstance(value, int) else None}


def main() -> None:
    """Do what is asked, end what the tool left running, and print."""
    name, place, asked = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    tree.adopt()
    sys.path.insert(0, str(place / "project"))
    os.environ["GRAPH_SIZE"] = str(asked.get("size", 0))
    what = asked.pop("what")
    answer = {"overhead": overhead, "once": once}[what](opened(name, place), **asked)
    print("\n" + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

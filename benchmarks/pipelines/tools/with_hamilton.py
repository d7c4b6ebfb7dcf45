"""Hamilton: a module of one function for each node, a driver with its cache."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphs import Node
from hamilton import driver


class Hamilton:
    """Functions are nodes by name: the module is written, but for the edits, whose project is taken as it stands."""

    def __init__(self, place: Path) -> None:
        self._place = place
        sys.path.insert(0, str(place))

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """Build the driver."""
        module = importlib.import_module("steps") if graph == "edits" else self._module(graph, nodes)
        sys.setrecursionlimit(max(1000, 60 * len(nodes)))
        made = driver.Builder().with_modules(module).with_cache(path=str(self._place / "hamilton")).build()
        taken = {name for node in nodes for name in node.needs.values()}
        ends = [node.name for node in nodes if node.name not in taken]
        inputs = "salt" in taken
        return lambda salt, again: made.execute(ends, inputs={"salt": salt} if inputs else {})[nodes[-1].name]

    def _module(self, graph: str, nodes: list[Node]) -> Any:
        lines = ["from typing import Any", f"import {nodes[0].function.__module__}"]
        for node in nodes:
            taken = ", ".join(f"{name}: Any" for name in node.needs.values())
            values = [f"{key}={name}" for key, name in node.needs.items()]
            values += [f"{key}={value!r}" for key, value in node.given.items()]
            function = f"{node.function.__module__}.{node.function.__name__}"
            lines.append(f"\n\ndef {node.name}({taken}) -> Any:\n    return {function}({', '.join(values)})")
        name = f"{graph}_{len(nodes)}"
        (self._place / f"{name}.py").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()
        return importlib.import_module(name)


open_tool = Hamilton

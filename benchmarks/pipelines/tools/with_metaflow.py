"""Metaflow: a flow file whose steps follow each other, each in a process of its own, local metadata and datastore.

Metaflow has no cache across runs: the same again is `resume` of a run, which takes over the steps that finished and looks
at no code.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphs import Node


class Metaflow:
    """The flow's file is written and started like a user would."""

    def __init__(self, place: Path) -> None:
        self._place = place / "metaflow"
        self._place.mkdir(parents=True, exist_ok=True)
        self._env = {
            **os.environ,
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self._place),
            "METAFLOW_DEFAULT_DATASTORE": "local",
            "METAFLOW_DEFAULT_METADATA": "local",
            "METAFLOW_USER": "benchmark",
            "METAFLOW_HOME": str(self._place / "config"),
            "PYTHONPATH": os.pathsep.join([*sys.path, str(place)]),
        }

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """Write the flow."""
        name = f"{graph.title()}{len(nodes)}"
        file, answer = self._place / f"{name}.py", self._place / f"{name}.answer"
        file.write_text(source(name, nodes, answer))

        def run(salt: int, again: bool) -> Any:
            asked = ["resume"] if again and graph != "edits" else ["run", "--salt", str(salt)]
            command = [sys.executable, str(file), "--quiet", "--no-pylint", *asked, "--max-workers", "1"]
            done = subprocess.run(command, cwd=self._place, env=self._env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-1500:])
            return int(answer.read_text()) if graph in ("chain", "diamond", "slow") else None

        return run


def source(name: str, nodes: list[Node], answer: Path) -> str:
    """The flow: one step after the other, in the order of the nodes; the first is `start`, the last `end`."""
    labels = ["start", *(f"s_{node.name}" for node in nodes[1:-1]), "end"]
    lines = [
        f"from metaflow import FlowSpec, Parameter, step\n\nimport {nodes[0].function.__module__} as bodies\n\n",
        f"class {name}(FlowSpec):\n    salt = Parameter('salt', type=int, default=0)\n",
    ]
    for position, node in enumerate(nodes):
        values = [f"{key}=self.{name}" for key, name in node.needs.items()]
        values += [f"{key}={value!r}" for key, value in node.given.items()]
        lines.append(f"    @step\n    def {labels[position]}(self):")
        lines.append(f"        self.{node.name} = bodies.{node.function.__name__}({', '.join(values)})")
        if position < len(nodes) - 1:
            lines.append(f"        self.next(self.{labels[position + 1]})\n")
        else:
            lines.append(
                f"        with open({str(answer)!r}, 'w') as file:\n            file.write(str(self.{node.name}))"
            )
    return "\n".join([*lines, f"\n\nif __name__ == '__main__':\n    {name}()\n"])


open_tool = Metaflow

"""ZenML: a step for each function in a written module, its cache, the default local stack on SQLite."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphs import Node


class Zenml:
    """A static pipeline on the local orchestrator. ZenML finds steps again by their module, so they are written down."""

    def __init__(self, place: Path) -> None:
        self._place = place
        (place / "zenml").mkdir(parents=True, exist_ok=True)
        os.environ |= {
            "ZENML_CONFIG_PATH": str(place / "zenml"),
            "ZENML_REPOSITORY_PATH": str(place),
            "ZENML_ANALYTICS_OPT_IN": "false",
            "ZENML_LOGGING_VERBOSITY": "CRITICAL",
            "ZENML_DISABLE_STEP_LOGS_STORAGE": "true",
            "ZENML_DISABLE_PIPELINE_LOGS_STORAGE": "true",
            "ZENML_ENABLE_RICH_TRACEBACK": "false",
            "AUTO_OPEN_DASHBOARD": "false",
        }
        sys.path.insert(0, str(place))

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """Write the steps' module, and define the pipeline."""
        from zenml import pipeline

        module = importlib.import_module("steps") if graph == "edits" else self._module(graph, nodes)

        @pipeline(name=graph, enable_cache=True)
        def made(salt: int) -> None:
            values: dict[str, Any] = {"salt": salt}
            for node in nodes:
                inputs = {key: values[name] for key, name in node.needs.items()}
                name = getattr(node.function, "__name__", node.name)
                step = getattr(module, name if graph != "edits" else node.name)
                values[node.name] = step(**inputs, **node.given, id=node.name)

        def run(salt: int, again: bool) -> Any:
            del again
            done = made(salt)
            return done.steps[nodes[-1].name].output.load()

        return run

    def _module(self, graph: str, nodes: list[Node]) -> Any:
        import inspect

        lines = ["from typing import Any", f"import {nodes[0].function.__module__}", "from zenml import step"]
        for function in dict.fromkeys(node.function for node in nodes):
            names = list(inspect.signature(function).parameters)
            kind = "int" if graph != "flights" else "Any"
            taken = ", ".join(f"{name}: {'str' if name == 'name' else kind}" for name in names)
            given = ", ".join(f"{name}={name}" for name in names)
            called = f"{function.__module__}.{function.__name__}({given})"
            lines.append(f"\n\n@step\ndef {function.__name__}({taken}) -> {kind}:\n    return {called}")
        (self._place / f"zenml_{graph}.py").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()
        return importlib.import_module(f"zenml_{graph}")


open_tool = Zenml

"""Prefect: a task for each function, cached by inputs and source, results in files, its own temporary server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphs import Node, called


class Prefect:
    """A flow that calls tasks one after the other."""

    def __init__(self, place: Path) -> None:
        os.environ |= {
            "PREFECT_HOME": str(place / "prefect"),
            "PREFECT_LOCAL_STORAGE_PATH": str(place / "prefect" / "storage"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "DO_NOT_TRACK": "1",
        }

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """Make tasks and the flow."""
        import prefect
        from prefect.cache_policies import INPUTS, TASK_SOURCE

        policy = INPUTS + TASK_SOURCE
        tasks = {node.function: prefect.task(node.function, cache_policy=policy, persist_result=True) for node in nodes}
        wrapped = [replace(node, function=tasks[node.function]) for node in nodes]

        @prefect.flow(name=graph, validate_parameters=False)
        def made(salt: int) -> Any:
            return called(wrapped, salt)[nodes[-1].name]

        return lambda salt, again: made(salt)


open_tool = Prefect

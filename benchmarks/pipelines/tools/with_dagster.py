"""Dagster: an op for each node, values in files, SQLite storage, executed in this process.

Dagster has no cache of op results: the same again runs everything. A killed run is marked as failed, then re-executed
from its failure, which takes over the steps that finished.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster
from graphs import GRAPHS, Node

from tools import asked_size


class Dagster:
    """Jobs on an instance of their own."""

    def __init__(self, place: Path) -> None:
        home = place / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        os.environ["DAGSTER_HOME"] = str(home)
        logging.getLogger("dagster").setLevel(logging.CRITICAL)
        self._instance = dagster.DagsterInstance.get()

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """Compose the job."""
        made = job_of(graph, nodes)

        def run(salt: int, again: bool) -> Any:
            config = config_of(nodes, salt)
            if again and graph == "slow":
                return self._resumed(config)
            done = made.execute_in_process(run_config=config, instance=self._instance)
            return done.output_for_node(nodes[-1].name)

        return run

    def _resumed(self, config: dict[str, Any]) -> Any:
        last = self._instance.get_runs(limit=1)[0]
        if not last.is_finished:
            self._instance.report_run_failed(last)
        options = dagster.ReexecutionOptions.from_failure(last.run_id, self._instance)
        job = dagster.reconstructable(slow_job)
        with dagster.execute_job(job, self._instance, run_config=config, reexecution_options=options) as done:
            return done.success


def job_of(graph: str, nodes: list[Node]) -> Any:
    """A job whose ops are named like the nodes."""
    ops = {node.name: op_of(node) for node in nodes}

    @dagster.job(
        name=graph,
        executor_def=dagster.in_process_executor,
        resource_defs={"io_manager": dagster.fs_io_manager},
    )
    def made() -> None:
        values: dict[str, Any] = {}
        for node in nodes:
            inputs = {key: values[name] for key, name in node.needs.items() if name != "salt"}
            values[node.name] = ops[node.name](**inputs)

    return made


def op_of(node: Node) -> Any:
    """An op of a node. Its salt is given by configuration, which only a typed input takes."""
    ins = {key: dagster.In(int) if name == "salt" else dagster.In(Any) for key, name in node.needs.items()}

    def compute(**inputs: Any) -> Any:
        return node.function(**inputs, **node.given)

    return dagster.op(name=node.name, ins=ins, out=dagster.Out(Any))(compute)


def config_of(nodes: list[Node], salt: int) -> dict[str, Any]:
    """The salt for each input that has no op before it."""
    wanted = {
        node.name: {"inputs": {key: salt for key, name in node.needs.items() if name == "salt"}}
        for node in nodes
        if "salt" in node.needs.values()
    }
    return {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, "ops": wanted}


def slow_job() -> Any:
    """The job of the kill, by a name that Dagster can import."""
    return job_of("slow", GRAPHS["slow"](asked_size()))


open_tool = Dagster

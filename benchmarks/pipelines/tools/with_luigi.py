"""Luigi: a task for each node whose target is a file; what is there is not made again. Local scheduler."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import luigi
from graphs import Node

logging.getLogger("luigi-interface").setLevel(logging.CRITICAL)


class Step(luigi.Task):  # type: ignore[misc]
    """One node. Luigi makes tasks anew from their parameters, so the graph is the class's."""

    name = luigi.Parameter()
    salt = luigi.IntParameter()
    nodes: ClassVar[dict[str, Node]] = {}
    place: ClassVar[Path] = Path()

    def requires(self) -> dict[str, Step]:
        """The tasks whose results are needed, by argument."""
        needs = self.nodes[self.name].needs.items()
        return {key: Step(name=name, salt=self.salt) for key, name in needs if name != "salt"}

    def output(self) -> Any:
        """A file of this salt."""
        return luigi.LocalTarget(self.place / str(self.salt) / f"{self.name}.pickle", format=luigi.format.Nop)

    def run(self) -> None:
        """Call the function and write what it gives."""
        node = self.nodes[self.name]
        values = {key: read(target) for key, target in self.input().items()}
        values |= {key: self.salt for key, name in node.needs.items() if name == "salt"}
        with self.output().open("w") as file:
            pickle.dump(node.function(**values, **node.given), file)


def read(target: Any) -> Any:
    """A target's value."""
    with target.open("r") as file:
        return pickle.load(file)


class Luigi:
    """`luigi.build` in this process."""

    def __init__(self, place: Path) -> None:
        Step.place = place / "luigi"

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """Hand the graph to the task class."""
        taken = {name for node in nodes for name in node.needs.values()}
        ends = [node.name for node in nodes if node.name not in taken]

        def run(salt: int, again: bool) -> Any:
            del again
            Step.place = Step.place.parent / graph
            Step.nodes = {node.name: node for node in nodes}
            asked = [Step(name=name, salt=salt) for name in ends]
            if not luigi.build(asked, local_scheduler=True, workers=1, no_lock=True, log_level="CRITICAL"):
                raise SystemExit("Luigi did not run")
            return read(asked[-1].output())

        return run


open_tool = Luigi

"""Kedro: nodes with a pickle for each output, `SequentialRunner` with `only_missing_outputs`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphs import Node
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node as kedro_node
from kedro.pipeline import pipeline as kedro_pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.pickle import PickleDataset

logging.getLogger("kedro").setLevel(logging.ERROR)


class Kedro:
    """Kedro knows outputs by their files alone, so that each salt has its own folder."""

    def __init__(self, place: Path) -> None:
        self._place = place / "kedro"

    def build(self, graph: str, nodes: list[Node]) -> Callable[[int, bool], Any]:
        """Make nodes and the pipeline; the catalog belongs to a run."""
        made = kedro_pipeline([self._node(node) for node in nodes])

        def run(salt: int, again: bool) -> Any:
            del again
            folder = self._place / graph / str(salt)
            folder.mkdir(parents=True, exist_ok=True)
            datasets = {node.name: PickleDataset(filepath=str(folder / f"{node.name}.pickle")) for node in nodes}
            catalog = DataCatalog({"salt": MemoryDataset(salt), **datasets})
            SequentialRunner().run(made, catalog, only_missing_outputs=True)
            return catalog.load(nodes[-1].name)

        return run

    @staticmethod
    def _node(node: Node) -> Any:
        function = functools.partial(node.function, **node.given) if node.given else node.function
        return kedro_node(function, inputs=node.needs or None, outputs=node.name, name=f"make_{node.name}")


open_tool = Kedro

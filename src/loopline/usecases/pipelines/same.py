"""A run of which everything is known to be what an earlier run gave: taken over at once, with no key made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.database import Row
from loopline.usecases.pipelines import expanding, store
from loopline.usecases.pipelines.model import Choice, Data, Leaf, Many, Plan, Ref, StepRun, Tree, leaves
from loopline.usecases.pipelines.values.blobs import blobs_of


class Same:
    """The outcome of the earlier run as that of this one: every step that ran there is a hit here. `result` answers the
    row kept under a key. Files, lock, parameters and inputs have the digests that they had then, so every key would be the same."""

    cancelled = ""
    trials: tuple[tuple[str, dict[str, Any], float | None, StepRun], ...] = ()

    def __init__(
        self,
        run_id: str,
        plan: Plan,
        steps: Sequence[StepRun],
        result: Callable[[str], Row | None],
        snapshots: Mapping[str, str],
        metrics: Mapping[str, float | str],
    ) -> None:
        self.run_id = run_id
        self.metrics = {name: float(value) for name, value in metrics.items()}
        self.steps = {step.position: step for step in steps}
        self._plan = plan
        self._snapshots = snapshots
        self.values = Values(self.steps, result)

    def whole(self, blobs: Blobs, results: int) -> bool:
        """Whether the results, of which so many are there, are all there, and the bytes of what the pipeline returns."""
        if len({step.key for step in self.steps.values() if step.status == "hit" and self._is_call(step)}) > results:
            return False
        if self._plan.result is None:
            return True
        try:
            tree = self.resolve(self._plan.result)
            for leaf in leaves(tree):
                for digest in blobs_of(leaf) if "dataset" not in leaf.meta else ():
                    blobs.path(digest)  # its bytes are checked
        except (LookupError, NotFound):
            return False
        return True

    def unkept(self) -> list[StepRun]:
        """Nothing: the rows of the earlier run stand for those of this one."""
        return []

    def resolve(self, tree: Tree) -> Tree:
        """A tree with references replaced by what they stand for; LookupError where that cannot be told."""
        if isinstance(tree, Ref):
            value = self.values[tree.node]
            return expanding.at(value, tree.path, no_content) if tree.path else value
        if isinstance(tree, Data):
            return Leaf("table", self._snapshots[tree.dataset], 0, None, {"frame": "pyarrow", "dataset": tree.dataset})
        if isinstance(tree, Many):
            return msgspec.structs.replace(tree, items=tuple(self.resolve(item) for item in tree.items))
        if isinstance(tree, Choice):
            holds = expanding.truth(self.resolve(tree.condition), no_content)
            return self.resolve(tree.then if holds else tree.otherwise)
        return tree

    def _is_call(self, step: StepRun) -> bool:
        node = self._plan.nodes[step.position] if step.position < len(self._plan.nodes) else None
        return node is None or not (node.over or node.search)


class Values(dict[int, Tree]):
    """Values by position, read when asked for; LookupError for those of maps and searches, which are not kept."""

    def __init__(self, steps: Mapping[int, StepRun], result: Callable[[str], Row | None]) -> None:
        super().__init__()
        self._steps = steps
        self._result = result

    def __missing__(self, position: int) -> Tree:
        row = self._result(self._steps[position].key)
        if row is None:
            raise LookupError(position)
        value = self[position] = store.value(row)
        return value


def no_content(leaf: Leaf) -> bytes:
    """The bytes of a leaf that lives in its row; LookupError for others."""
    if leaf.content is None:
        raise LookupError(leaf.digest)
    return leaf.content

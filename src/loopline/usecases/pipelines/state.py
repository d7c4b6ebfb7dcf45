"""What is known in a run so far: its nodes, and the values that they gave."""

from __future__ import annotations

import msgspec

from loopline.core.errors import NotFound
from loopline.usecases.pipelines import expanding
from loopline.usecases.pipelines.ground import Ground, Terms
from loopline.usecases.pipelines.keys import needs_of
from loopline.usecases.pipelines.model import Choice, Data, Leaf, Many, Node, Plan, Ref, StepRun, Tree, refs


class Damaged(Exception):
    """The bytes of a value are not what they were."""

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf.digest)
        self.leaf = leaf


class State:
    """Nodes by position, those of the plan first, calls of maps and searches after them. `keys`, `values` and `steps` fill
    as the run goes on; `parts` are the calls of a map or search, `whole_of` leads from a call to what it is part of."""

    def __init__(self, ground: Ground, run_id: str, plan: Plan, folder: str, stamp: str, terms: Terms) -> None:
        self.ground = ground
        self.run_id = run_id
        self.plan = plan
        self.folder = folder
        self.stamp = stamp
        self.terms = terms
        self.scratch = str(ground.scratch / run_id)
        self.began_at = ground.clock.text()
        self.nodes: list[Node] = list(plan.nodes)
        self.needs = [needs_of(node) for node in plan.nodes]
        self.parts: dict[int, list[int]] = {}
        self.whole_of: dict[int, int] = {}
        self.attempts: dict[int, int] = {}
        self.keys: dict[int, str] = {}
        self.values: dict[int, Tree] = {}
        self.steps: dict[int, StepRun] = {}

    def add(self, call: Node, whole: int) -> int:
        """Add a call of a map or search; answers its position."""
        self.nodes.append(call)
        self.needs.append(needs_of(call))
        self.parts[whole].append(len(self.nodes) - 1)
        self.whole_of[len(self.nodes) - 1] = whole
        return len(self.nodes) - 1

    def beside(self, position: int) -> int:
        """How many calls the map or search has so far that a node is a call of; 0 for any other node."""
        whole = self.whole_of.get(position)
        return 0 if whole is None else len(self.parts[whole])

    def arguments(self, node: Node) -> dict[str, Tree]:
        """The arguments of a call, resolved."""
        return {name: self.resolve(tree) for name, tree in node.arguments.items()}

    def seed(self, node: Node) -> int:
        """Where the random numbers of a call start."""
        return self.terms.seed if node.options.seed is None else node.options.seed

    def forced(self, position: int) -> bool:
        """Whether a node shall run anew whatever is known."""
        if not self.terms.force:
            return False
        whole = self.whole_of.get(position)
        return self.nodes[position].label in self.terms.force or (whole is not None and self.forced(whole))

    def resolve(self, tree: Tree) -> Tree:
        """A tree with references replaced by what they stand for."""
        if isinstance(tree, Ref):
            value = self.values[tree.node]
            return expanding.at(value, tree.path, self.content) if tree.path else value
        if isinstance(tree, Data):
            digest = self.terms.snapshots[tree.dataset]
            return Leaf("table", digest, 0, None, {"frame": "pyarrow", "dataset": tree.dataset})
        if isinstance(tree, Many):
            return msgspec.structs.replace(tree, items=tuple(self.resolve(item) for item in tree.items))
        if isinstance(tree, Choice):
            return self.resolve(tree.then if self.holds(tree.condition) else tree.otherwise)
        return tree

    def missing(self, position: int, node: Node) -> list[int]:
        """Positions of what a node waits for, as far as is known by now."""
        if position in self.parts:
            return [part for part in self.parts[position] if part not in self.steps]
        needs = self.needs[position]
        if needs is not None:
            return [need for need in needs if need not in self.values]
        for guard in node.guards:
            if guard.condition.node not in self.values:
                return [guard.condition.node]
            if self.holds(guard.condition) is not guard.wanted:
                return []
        return list({need for tree in node.arguments.values() for need in self.lacking(tree)})

    def lacking(self, tree: Tree) -> list[int]:
        """Positions of what is missing of a value."""
        if isinstance(tree, Many):
            return [need for item in tree.items for need in self.lacking(item)]
        if isinstance(tree, Choice):
            if tree.condition.node not in self.values:
                return [tree.condition.node]
            return self.lacking(tree.then if self.holds(tree.condition) else tree.otherwise)
        return [ref.node for ref in refs(tree) if ref.node not in self.values]

    def holds(self, condition: Ref) -> bool:
        """Whether a condition counts as true. Invalid for one that cannot."""
        return expanding.truth(self.resolve(condition), self.content)

    def content(self, leaf: Leaf) -> bytes:
        """The bytes of a stored value. Damaged when they are not right."""
        if leaf.content is not None:
            return leaf.content
        try:
            return self.ground.blobs.get(leaf.digest)
        except NotFound:
            raise Damaged(leaf) from None

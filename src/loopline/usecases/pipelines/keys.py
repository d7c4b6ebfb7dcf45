"""What a node of a plan needs, and the key under which its result is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopline.kit.installed import installed
from loopline.usecases.pipelines import files
from loopline.usecases.pipelines.hashing import digest_all, of_tree
from loopline.usecases.pipelines.model import FORMAT, Choice, Data, Leaf, Many, Node, Plan, Tree, refs


def needs_of(node: Node) -> frozenset[int] | None:
    """Positions of the nodes whose results a node takes; None when that hangs on conditions."""
    if node.guards or any(is_open(tree) for tree in node.arguments.values()):
        return None
    return frozenset(ref.node for tree in node.arguments.values() for ref in refs(tree))


def is_open(tree: Tree) -> bool:
    """Whether a value hangs on a condition somewhere inside."""
    return isinstance(tree, Choice) or (isinstance(tree, Many) and any(is_open(item) for item in tree.items))


def key_of(node: Node, arguments: Mapping[str, Tree], beside: Sequence[str] = ()) -> str:
    """The cache key of a step call: code (with Python and distributions), arguments by name but for volatile ones, and
    what is counted `beside` them (externals, the seed)."""
    counted = sorted(arguments.keys() - set(node.options.volatile)) if node.options.volatile else sorted(arguments)
    fields = [part for name in counted for part in (name, of_tree(arguments[name]))]
    return digest_all(("step", FORMAT, node.code, *fields, *beside))


def datasets_in(tree: Tree) -> set[str]:
    """Names of the datasets inside an argument, as people write them."""
    if isinstance(tree, Data):
        return {f"dataset {tree.dataset}"}
    if isinstance(tree, Choice):
        return datasets_in(tree.then) | datasets_in(tree.otherwise)
    return {name for item in tree.items for name in datasets_in(item)} if isinstance(tree, Many) else set()


def shown(tree: Tree) -> str:
    """A value as one short text: JSON itself, of others what they are."""
    if isinstance(tree, Leaf) and tree.kind in ("json", "scalar", "enum") and tree.content is not None:
        text = tree.content.decode()
        return text if len(text) <= 200 else text[:200] + "…"
    if isinstance(tree, Leaf):
        return f"{tree.kind} {tree.digest[:12]}"
    if isinstance(tree, Many):
        return f"{tree.form} of {len(tree.items)}"
    return ""


def datasets_of(plan: Plan) -> set[str]:
    """Names of all datasets in a plan."""
    trees = [tree for node in plan.nodes for tree in node.arguments.values()]
    trees += [plan.result] if plan.result is not None else []
    return {name.removeprefix("dataset ") for tree in trees for name in datasets_in(tree)}


def current(plan: Plan) -> bool:
    """Whether what the plan's code takes from outside the project is still the same: distributions and other files."""
    here = installed()
    if any(here.get(name, "unknown") != version for name, version in plan.distributions().items()):
        return False
    return all(files.digest_of(file) == known for file, known in plan.outside.items())

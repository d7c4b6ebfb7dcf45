"""Maps and searches: from one node to its calls, and from their results to its value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Invalid, LooplineError
from loopline.usecases.pipelines.model import Leaf, Many, Node, Search, Tree
from loopline.usecases.pipelines.values.writing import text

Content = Callable[[Leaf], bytes]


def calls_of(node: Node, arguments: Mapping[str, Tree], content: Content) -> tuple[list[Node], tuple[str, ...]]:
    """The calls of a map, one for each item, and the keys under which their results stand (none for a list). Invalid for
    a value that has no items, or lists of different lengths."""
    lists = {name: items_of(arguments[name], name, node, content) for name in node.over}
    lengths = {name: len(items) for name, (items, _) in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise Invalid(f"{node.label} is mapped over lists of different lengths: {told}.", "Give lists of one length.")
    names = next((names for _, names in lists.values() if names), ())
    calls = [
        call(node, names[n] if names else n, {**arguments, **{name: items[n] for name, (items, _) in lists.items()}})
        for n in range(next(iter(lengths.values())))
    ]
    return calls, names


def call(node: Node, which: int | str, arguments: Mapping[str, Tree]) -> Node:
    """One call of a map or search."""
    return msgspec.structs.replace(
        node, label=f"{node.label}[{which}]", arguments=dict(arguments), guards=(), over=(), search=None
    )


def items_of(tree: Tree, name: str, node: Node, content: Content) -> tuple[Sequence[Tree], tuple[str, ...]]:
    """The items of a list or dict, with a dict's keys."""
    if isinstance(tree, Many):
        return tree.items, tree.names if tree.form == "dict" else ()
    if isinstance(tree, Leaf) and tree.kind == "json":
        value = json.loads(content(tree))
        if isinstance(value, dict):
            return [text(one) for one in value.values()], tuple(value)
        if isinstance(value, list):
            return [text(one) for one in value], ()
    raise Invalid(
        f"{node.label} is mapped over {name!r}, which is {a(tree)} and no list.", "Give it a list or a dict of items."
    )


def at(tree: Tree, path: Sequence[int | str], content: Content) -> Tree:
    """The part of a value at a path of positions and keys; KeyError when it has none."""
    for n, part in enumerate(path):
        if isinstance(tree, Leaf) and tree.kind == "json":
            return text(part_of(json.loads(content(tree)), path[n:]))
        if not isinstance(tree, Many) or part not in (tree.names if isinstance(part, str) else range(len(tree.items))):
            raise KeyError(part)
        tree = tree.items[tree.names.index(part) if isinstance(part, str) else part]
    return tree


def part_of(value: Any, path: Sequence[Any]) -> Any:
    """The part of a plain value at a path; KeyError when it has none."""
    for part in path:
        if not isinstance(value, dict if isinstance(part, str) else list):
            raise KeyError(part)
        try:
            value = value[part]
        except LookupError:
            raise KeyError(part) from None
    return value


def gathered(names: tuple[str, ...], values: Sequence[Tree]) -> Tree:
    """The value of a map."""
    return Many("dict", tuple(values), names) if names else Many("list", tuple(values))


def measured(node: Node, value: Tree | None, content: Content) -> float | None:
    """The number that a trial of a search is judged by; None for a failed one. Invalid when there is none."""
    if value is None or node.search is None:
        return None
    found: Any = None
    if isinstance(value, Leaf) and value.kind in ("json", "model"):
        found = json.loads(content(value))
        found = found.get("metrics", {}) if value.kind == "model" else found
    return number_in(found, node.search.measure)


def searched(search: Search, call: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A search of plain calls, one after the other; a trial that raises is a failed one unless all do."""
    from loopline.usecases.pipelines.searching import points, summary

    told: list[tuple[dict[str, Any], float | None]] = []
    failure: Exception | None = None
    while found := points(search, told):
        for point in found:
            try:
                told.append((point, number_in(call(point), search.measure)))
            except LooplineError:
                raise
            except Exception as error:
                failure = error
                told.append((point, None))
    if failure is not None and all(number is None for _, number in told):
        raise failure
    return summary(search, told)


def number_in(found: Any, measure: str) -> float:
    """The number that a trial's plain result is judged by. Invalid when there is none."""
    found = getattr(found, "metrics", found)
    if measure:
        found = found.get(measure) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        what = f"no number {measure!r}" if measure else "no number"
        raise Invalid(f"A trial gave {what}.", "Name the number to judge by with measure=.")
    return float(found)


def truth(tree: Tree, content: Content) -> bool:
    """Whether a condition's value counts as true. Invalid for one that is neither JSON nor a list."""
    if isinstance(tree, Many):
        return bool(tree.items)
    if isinstance(tree, Leaf) and tree.kind == "json":
        return bool(json.loads(content(tree)))
    raise Invalid(f"A branch hangs on {a(tree)}, which is neither true nor false.", "Give it a step that answers bool.")


def a(tree: Tree) -> str:
    """What a value is, in words."""
    kind = tree.kind if isinstance(tree, Leaf) else tree.form if isinstance(tree, Many) else "value"
    kind = {"json": "single value", "scalar": "single value", "bytes": "row of bytes"}.get(kind, kind)
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"

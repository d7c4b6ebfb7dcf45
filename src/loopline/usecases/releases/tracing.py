"""A plan of pipelines as the graph that a release seals, and what keeps a plan from being sealed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from loopline.core.errors import CheckFailed, Invalid
from loopline.kit.installed import normalised
from loopline.usecases.releases.model import Code, Graph, Step


def graph_of(plan: Any) -> Graph:
    """What of a plan is sealed: steps with needs, datasets and options, their code, the pipeline's parameters."""
    labels = [node.label for node in plan.nodes]
    steps = tuple(step_of(node, labels) for node in plan.nodes)
    result = msgspec.to_builtins(plan.result)
    datasets = {name for step in steps for name in step.datasets} | set(found_in(result, "data", "dataset"))
    return Graph(
        steps=steps,
        codes={digest: code_of(code) for digest, code in sorted(plan.codes.items())},
        parameters=parameters_of(plan),
        datasets=tuple(sorted(datasets)),
        returns_model=plan.returns_model,
        registers=plan.registers,
        reads=tuple(sorted({path for node in plan.nodes for path in own_files(node)})),
    )


def step_of(node: Any, labels: list[str]) -> Step:
    """A node without its constant arguments: those follow from code and parameters."""
    trees = [msgspec.to_builtins(tree) for tree in node.arguments.values()]
    trees += [msgspec.to_builtins(guard.condition) for guard in getattr(node, "guards", ())]
    search = getattr(node, "search", None)
    return Step(
        label=node.label,
        step=node.step,
        code=node.code,
        needs=tuple(sorted({labels[int(one)] for tree in trees for one in found_in(tree, "ref", "node")})),
        datasets=tuple(sorted({str(one) for tree in trees for one in found_in(tree, "data", "dataset")})),
        over=tuple(getattr(node, "over", ())),
        options=msgspec.to_builtins(node.options),
        search=None if search is None else msgspec.to_builtins(search),
    )


def found_in(tree: Any, kind: str, field: str) -> Iterator[Any]:
    """The field `field` of every part of that kind in a tree of plain data."""
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from found_in(item, kind, field)
    elif isinstance(tree, dict):
        if tree.get("type") == kind and field in tree:
            yield tree[field]
        for name in ("items", "condition", "then", "otherwise"):
            if name in tree:
                yield from found_in(tree[name], kind, field)


def code_of(code: Any) -> Code:
    """A closure as names and digests."""
    pieces = {f"{piece.file}: {piece.name}": piece.digest for piece in code.pieces}
    return Code(dict(sorted(pieces.items())), dict(sorted(code.distributions.items())))


def parameters_of(plan: Any) -> dict[str, Any]:
    """Type and default of each parameter."""
    signature: Mapping[str, Any] = getattr(plan, "signature", None) or {}
    return {name: msgspec.to_builtins(one) for name, one in sorted(signature.items())}


def own_files(node: Any) -> Iterator[str]:
    """Paths in the project's folder that a step reads by itself; Invalid for one that leads out of it."""
    for external in getattr(node.options, "externals", ()):
        path = getattr(external, "path", "")
        if not path or os.path.isabs(path):
            continue
        plain = os.path.normpath(path)
        if plain.startswith(".."):
            raise Invalid(
                f"The step {node.label} reads {path!r}, outside the project's folder.", "Name it by its whole path."
            )
        yield plain


def refuse_what_is_not_sealed(plan: Any, graph: Graph, pinned: Mapping[str, str]) -> None:
    """CheckFailed when the plan takes Python code from outside the project, or imports what the lock does not name.

    Programs that command steps call stay those of the machine: their digests are part of the steps' code.
    """
    code = [path for path in plan.outside if path.endswith(".py")]
    if code:
        raise CheckFailed(
            f"The pipeline takes code from {min(code)}, outside the project's folder.",
            "Move it into the project, or make it a distribution that the lock names.",
        )
    for step in graph.steps:
        for name, version in graph.codes[step.code].distributions.items():
            locked = pinned.get(normalised(name))
            if locked is None:
                raise CheckFailed(
                    f"The step {step.label} imports {name}, which the lock does not name.",
                    "Add it to the dependencies in pyproject.toml, then `loopline lock`.",
                )
            if version not in (locked, "unknown"):
                raise CheckFailed(
                    f"The step {step.label} was traced with {name} {version}; the lock says {locked}.",
                    "Run `loopline lock`.",
                )

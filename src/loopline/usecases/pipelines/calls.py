"""A step call as the executor takes it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loopline.core.errors import NotFound
from loopline.ports.executor import Call
from loopline.usecases.pipelines.model import Node, Tree, leaves
from loopline.usecases.pipelines.state import Damaged, State
from loopline.usecases.pipelines.values.blobs import blobs_of
from loopline.usecases.pipelines.work import Perform

PERFORM = "loopline.usecases.pipelines.work:perform"


def call_of(state: State, position: int, node: Node, arguments: dict[str, Tree], places: dict[str, str]) -> Call:
    """The call of a node with resolved arguments, whose larger bytes lie at `places`."""
    scratch, options = f"{state.scratch}/{position}", node.options
    seeded: list[str] = [name for name in ("numpy", "torch") if name in state.plan.codes[node.code].distributions]
    perform = Perform(
        state.folder,
        state.stamp,
        node.target,
        arguments,
        places,
        scratch,
        state.ground.runtimes,
        state.seed(node),
        seeded,
        state.plan.files,
    )
    return Call(
        target=PERFORM,
        payload=msgspec.msgpack.encode(perform),
        label=f"the step {node.label}",
        folder=scratch,
        places=places,
        projects={state.stamp: state.folder},
        timeout=options.timeout,
        memory=options.memory,
        cpu=options.cpu,
        environment={**options.environment, **state.terms.variables},
        python=state.ground.python_for(state.terms.locks[options.lock]) if options.lock else state.terms.python,
    )


def places_of(state: State, arguments: Mapping[str, Tree]) -> dict[str, str]:
    """Where the bytes of arguments lie (digest → path). Damaged names a value whose bytes are not right."""
    places: dict[str, str] = {}
    for leaf in (leaf for tree in arguments.values() for leaf in leaves(tree)):
        if "dataset" in leaf.meta:
            places[leaf.digest] = str(state.ground.snapshot_file(leaf.digest))
            continue
        try:
            places |= {digest: str(state.ground.blobs.path(digest)) for digest in blobs_of(leaf)}
        except NotFound:
            raise Damaged(leaf) from None
    return places

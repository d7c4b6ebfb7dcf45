"""A run as a graph."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from loopline.core.times import from_text
from loopline.usecases.pipelines.model import (
    Choice,
    Graph,
    GraphNode,
    Many,
    Node,
    PipelineRun,
    Plan,
    Ref,
    StepRun,
    Tree,
)


def graph(run: PipelineRun, plan: Plan | None, now: datetime) -> Graph:
    """The nodes of a run's plan and the calls of its maps, each with how it stands. Seconds count from the start."""
    steps = {step.label: step for step in run.steps}
    nodes = plan.nodes if plan is not None else ()
    calls = Counter(step.part_of for step in run.steps)
    found = [drawn(node, nodes, steps.get(node.label), run, calls[node.label]) for node in nodes]
    found += [part(step, run) for step in run.steps if step.part_of]
    until = (now - from_text(run.started_at)).total_seconds() if run.seconds is None else run.seconds
    return Graph(run_id=run.run_id, pipeline=run.pipeline, status=run.status, now=until, nodes=tuple(found))


def drawn(node: Node, nodes: tuple[Node, ...], step: StepRun | None, run: PipelineRun, calls: int) -> GraphNode:
    """One node of the plan."""
    needs = tuple(sorted({nodes[position].label for position in needed(node)}))
    waiting = "waiting" if run.status == "running" else "skipped"
    if step is None:
        status = "running" if calls and run.status == "running" else waiting
        return GraphNode(label=node.label, step=node.step, status=status, needs=needs, calls=calls)
    return placed(step, run, needs, calls)


def needed(node: Node) -> set[int]:
    """Positions of all that a node hangs on."""
    trees: list[Tree] = [*node.arguments.values(), *(guard.condition for guard in node.guards)]
    return {position for tree in trees for position in positions(tree)}


def part(step: StepRun, run: PipelineRun) -> GraphNode:
    """One call of a map or search."""
    return placed(step, run, (), 0)


def placed(step: StepRun, run: PipelineRun, needs: tuple[str, ...], calls: int) -> GraphNode:
    """A step run with its place in time; hits and skipped ones have none."""
    timed = step.status in ("ran", "failed", "running", "cancelled")
    after = max(0.0, (from_text(step.started_at) - from_text(run.started_at)).total_seconds()) if timed else None
    until = after + step.seconds if after is not None and step.status != "running" else None
    return GraphNode(
        label=step.label,
        step=step.step,
        status=step.status,
        needs=needs,
        part_of=step.part_of,
        calls=calls,
        seconds=step.seconds,
        after=after,
        until=until,
        error=step.error,
    )


def positions(tree: Tree) -> list[int]:
    """Positions of the nodes that a value hangs on."""
    if isinstance(tree, Ref):
        return [tree.node]
    if isinstance(tree, Many):
        return [one for item in tree.items for one in positions(item)]
    if isinstance(tree, Choice):
        return [tree.condition.node, *positions(tree.then), *positions(tree.otherwise)]
    return []

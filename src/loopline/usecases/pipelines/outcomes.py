"""What a run brought: outputs, their maker, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol

from loopline.usecases.pipelines.model import Leaf, Plan, StepRun, Tree, leaves


class Done(Protocol):
    """A run that ended: values and step runs by position."""

    @property
    def values(self) -> dict[int, Tree]: ...
    @property
    def steps(self) -> dict[int, StepRun]: ...


def outputs_of(result: Tree | None) -> list[tuple[str, str, str]]:
    """(name, digest, kind) of each value that a pipeline returned."""
    found = list(leaves(result)) if result is not None else []
    return [("result" if len(found) == 1 else f"result {n}", leaf.digest, leaf.kind) for n, leaf in enumerate(found, 1)]


def maker_of(running: Done, result: Leaf) -> str:
    """The run that made a value."""
    for position, value in running.values.items():
        if any(leaf is result or leaf.digest == result.digest for leaf in leaves(value)):
            return running.steps[position].made_by
    return ""


def lock_of(running: Done, result: Leaf, plan: Plan) -> str:
    """The lock of its own with which the step ran that made a value, or nothing."""
    for position, value in running.values.items():
        made = any(leaf is result or leaf.digest == result.digest for leaf in leaves(value))
        if made and position < len(plan.nodes):
            return plan.nodes[position].options.lock
    return ""


def metrics_of(running: Done) -> dict[str, float]:
    """Metrics of the models made, and of each step that gave a flat map of numbers (under the step's label)."""
    found: dict[str, float] = {}
    for position, value in running.values.items():
        for name, number in numbers_in(value):
            title = f"{running.steps[position].label}.{name}" if not is_model(value) else name
            found[metric_name(title)] = number
    return found


def numbers_in(value: Tree) -> Iterable[tuple[str, float]]:
    """Names and numbers of a model's metrics or of a flat map of numbers."""
    if not isinstance(value, Leaf) or value.content is None or value.kind not in ("json", "model"):
        return []
    if value.kind == "json" and value.content[:1] != b"{":
        return []
    inside = json.loads(value.content)
    inside = inside["metrics"] if value.kind == "model" else inside
    pairs = [(name, number) for name, number in inside.items() if type(number) in (int, float)]
    return pairs if len(pairs) == len(inside) else []


def is_model(value: Tree) -> bool:
    """Whether a value is a model."""
    return isinstance(value, Leaf) and value.kind == "model"


def metric_name(title: str) -> str:
    """A title as a metric's key: characters that no key may have become underscores."""
    return "".join(char if char.isalnum() or char in "_-. :" else "_" for char in title)[:250].strip(". ") or "metric"

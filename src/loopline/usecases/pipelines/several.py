"""Maps and searches of a run: which calls they make, what their results come to."""

from __future__ import annotations

from typing import Any

from loopline.core.errors import Invalid
from loopline.usecases.pipelines import expanding
from loopline.usecases.pipelines.hashing import digest_all
from loopline.usecases.pipelines.model import Node, StepRun, Tree
from loopline.usecases.pipelines.state import Damaged, State
from loopline.usecases.pipelines.values.writing import text

Trial = tuple[str, dict[str, Any], float | None, StepRun]


class Several:
    """Divides nodes into calls."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._points: dict[int, dict[str, Any]] = {}
        self._names: dict[int, tuple[str, ...]] = {}

    @property
    def trials(self) -> list[Trial]:
        """The trials that ran, also of searches that did not come to their end."""
        state = self._state
        return [
            (state.nodes[whole].label, self._points[part], self._measure(state.nodes[whole], part), state.steps[part])
            for whole, parts in state.parts.items()
            for part in parts
            if part in self._points and part in state.steps and state.steps[part].status in ("hit", "ran", "failed")
        ]

    def _measure(self, node: Node, part: int) -> float | None:
        try:
            return expanding.measured(node, self._state.values.get(part), self._state.content)
        except (Invalid, Damaged):  # it gave no number
            return None

    def divided(self, position: int, node: Node) -> list[int]:
        """Positions of the first calls of a node; none for an empty map."""
        if node.search is not None:
            self._state.parts[position] = []
            return self.more(position, node)
        calls, names = expanding.calls_of(node, self._state.arguments(node), self._state.content)
        self._state.parts[position], self._names[position] = [], names
        return [self._state.add(call, position) for call in calls]

    def more(self, position: int, node: Node) -> list[int]:
        """Positions of further trials of a search; none when it has ended, or for a map."""
        if node.search is None:
            return []
        from loopline.usecases.pipelines.searching import points

        added: list[int] = []
        for point in points(node.search, self._told(position, node)):
            given = {**node.arguments, **{name: text(one) for name, one in point.items()}}
            which = len(self._state.parts[position])
            added.append(self._state.add(expanding.call(node, which, given), position))
            self._points[added[-1]] = point
        return added

    def failed(self, position: int, node: Node) -> str:
        """Why a map failed (one of its calls did) or a search (all did); empty when it did not."""
        parts = [self._state.steps[part] for part in self._state.parts[position]]
        wrong = [step for step in parts if step.status not in ("hit", "ran")]
        if not wrong or (node.search is not None and len(wrong) < len(parts)):
            return ""
        return f"{len(wrong)} of its {len(parts)} calls failed; {wrong[0].label}: {wrong[0].error}"

    def value(self, position: int, node: Node) -> Tree:
        """What the results of all calls come to."""
        parts = self._state.parts[position]
        self._state.keys[position] = digest_all(("calls", *(self._state.steps[part].key for part in parts)))
        if node.search is None:
            return expanding.gathered(self._names[position], [self._state.values[part] for part in parts])
        from loopline.usecases.pipelines.searching import summary

        return text(summary(node.search, self._told(position, node)))

    def _told(self, position: int, node: Node) -> list[tuple[dict[str, Any], float | None]]:
        values, content = self._state.values, self._state.content
        return [
            (self._points[part], expanding.measured(node, values.get(part), content))
            for part in self._state.parts[position]
        ]

"""What is written down of the steps of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from loopline.core.times import to_text
from loopline.ports.executor import Outcome
from loopline.usecases.pipelines.hashing import digest, of_tree
from loopline.usecases.pipelines.keys import datasets_in, shown
from loopline.usecases.pipelines.model import Argument, Node, StepRun, Tree, leaves, refs
from loopline.usecases.pipelines.state import State


class Records:
    """Makes records from the state of a run."""

    def __init__(self, state: State) -> None:
        self.state = state

    def step(
        self, position: int, node: Node, status: Any, made_by: str = "", outcome: Outcome | None = None, error: str = ""
    ) -> StepRun:
        """A step run as it stands, with the figures of its outcome."""
        whole = self.state.whole_of.get(position)
        value = self.state.values.get(position)
        seconds = 0.0 if outcome is None else outcome.seconds
        return StepRun(
            position=position,
            step=node.step,
            label=node.label,
            key=self.state.keys.get(position, ""),
            status=status,
            made_by=made_by,
            started_at=self.state.began_at if outcome is None else self._began(seconds),
            seconds=seconds,
            cpu_seconds=0.0 if outcome is None else outcome.cpu_seconds,
            max_rss=0 if outcome is None else outcome.max_rss,
            log=self.state.ground.blobs.take(outcome.log) if outcome is not None and outcome.log else "",
            error=error,
            attempts=self.state.attempts.get(position, 1),
            part_of="" if whole is None else self.state.nodes[whole].label,
            warnings=0 if outcome is None else outcome.warnings,
            output="" if value is None else of_tree(value),
        )

    def _began(self, seconds: float) -> str:
        return to_text(self.state.ground.clock.now() - timedelta(seconds=seconds))

    def row(self, step: StepRun, value: Tree) -> dict[str, Any]:
        """The row under which a result is kept."""
        return {
            "key": step.key,
            "value": msgspec.json.encode(value).decode(),
            "size": sum(leaf.size for leaf in leaves(value)),
            "run_id": step.made_by,
            "made_at": self.state.ground.clock.text(),
            "seconds": step.seconds,
        }

    def arguments(self, position: int, node: Node) -> dict[str, Argument] | None:
        """What the step's key was made of, as people are told; None when it has no key."""
        if position not in self.state.keys:
            return None
        whole = self.state.whole_of.get(position)
        sources = self.state.nodes[whole].arguments if whole is not None else {}
        found = {
            name: self._argument(node, name, tree, sources.get(name, tree)) for name, tree in node.arguments.items()
        }
        for one in node.options.externals:
            from loopline.usecases.pipelines.identity.externals import title

            mark = self.state.terms.externals[one]
            found[title(one)] = Argument("external", mark, "", mark[:12])
        if node.options.lock:
            pinned = digest(self.state.terms.locks[node.options.lock])
            found[f"lock {node.options.lock}"] = Argument("external", pinned, "", pinned[:12])
        for name, content in sorted(node.options.environment.items()):
            found[f"variable {name}"] = Argument("parameter", content, "", content)
        seed = self.state.terms.seed if node.options.seed is None else node.options.seed
        if seed:
            found["seed of random numbers"] = Argument("parameter", str(seed), "", str(seed))
        return found

    def _argument(self, node: Node, name: str, tree: Tree, source: Tree) -> Argument:
        resolved = self.state.resolve(tree)
        sources = sorted({self.state.nodes[ref.node].label for ref in refs(source)} | datasets_in(source))
        kind = "volatile" if name in node.options.volatile else "input" if sources else "parameter"
        return Argument(kind, of_tree(resolved), ", ".join(sources), shown(resolved))  # type: ignore[arg-type]

"""One pipeline run while it goes on: look up what is known, run what is not, keep what finished."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import NotFound, Unavailable
from loopline.core.times import to_text
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.ports.executor import Call, Executor, Outcome
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.hashing import of_tree
from loopline.usecases.pipelines.keys import datasets_in, key_of, needs_of, shown
from loopline.usecases.pipelines.model import (
    Argument,
    Data,
    Leaf,
    Many,
    Node,
    Plan,
    Progress,
    Ref,
    StepRun,
    Tree,
    at,
    leaves,
    refs,
)
from loopline.usecases.pipelines.values.blobs import blobs_of
from loopline.usecases.pipelines.work import Perform, Performed

LONGEST_UNKEPT_S = 0.02
PERFORM = "loopline.usecases.pipelines.work:perform"
_performed = msgspec.msgpack.Decoder(Performed)


class Ground:
    """What a run stands on: engines, the executor (started when first needed), and where snapshots lie as files."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        clock: Clock,
        executor: Callable[[], Executor],
        snapshot_file: Callable[[str], Path],
        runtimes: Mapping[str, str],
        scratch: Path,
    ) -> None:
        self.database = database
        self.blobs = blobs
        self.clock = clock
        self.executor = executor
        self.snapshot_file = snapshot_file
        self.runtimes = dict(runtimes)
        self.scratch = scratch


class Running:
    """The state of one run. `snapshots` are the digests of the datasets by name; `known` results by key; `begin` is
    called before the first step runs."""

    def __init__(
        self,
        ground: Ground,
        run_id: str,
        plan: Plan,
        folder: str,
        stamp: str,
        snapshots: Mapping[str, str],
        known: Mapping[str, Row],
        progress: Callable[[Progress], None],
        begin: Callable[[], None],
    ) -> None:
        self._begin: Callable[[], None] | None = begin
        self._ground = ground
        self._run_id = run_id
        self._scratch = str(ground.scratch / run_id)
        self._plan = plan
        self._folder = folder
        self._stamp = stamp
        self._snapshots = snapshots
        self._known = dict(known)
        self._progress = progress
        self._needs = [needs_of(node) for node in plan.nodes]
        self._began_at = ground.clock.text()
        self._kept_at = time.perf_counter()
        self._unkept: list[tuple[StepRun, dict[str, Any] | None]] = []
        self._keys: dict[int, str] = {}
        self._damaged: set[int] = set()
        self._missed: set[int] = set()
        self._ready: deque[int] = deque()
        self._waits: dict[int, set[int]] = {}
        self._needed_by: dict[int, list[int]] = {}
        self._flying: dict[Future[Outcome], int] = {}
        self.values: dict[int, Tree] = {}
        self.steps: dict[int, StepRun] = {}

    def hits(self) -> bool:
        """Take every result that is known, in order; answers whether all are."""
        for position, node in enumerate(self._plan.nodes):
            if self._needs[position] <= self.values.keys() and not self._hit(position, node):
                self._missed.add(position)
        return len(self.values) == len(self._plan.nodes)

    def go(self) -> None:
        """Run what is not known, independent steps side by side, until nothing is left that could."""
        try:
            self._schedule()
            while self._ready or self._flying or self._result_was_damaged():
                self._start_ready()
                self._collect()
        finally:
            for future in self._flying:
                future.cancel()
            self._keep()
            shutil.rmtree(self._scratch, ignore_errors=True)
        self._skip_rest()

    def unkept(self) -> list[StepRun]:
        """Step runs whose rows are not written yet (those of hits are written with the end of the run)."""
        return [step for step, _ in self._unkept]

    def resolve(self, tree: Tree) -> Tree:
        """A tree with references replaced by what they stand for."""
        if isinstance(tree, Ref):
            value = self.values[tree.node]
            return at(value, tree.path) if tree.path else value
        if isinstance(tree, Data):
            digest = self._snapshots[tree.dataset]
            return Leaf("table", digest, 0, None, {"frame": "pyarrow", "dataset": tree.dataset})
        if isinstance(tree, Many):
            return msgspec.structs.replace(tree, items=tuple(self.resolve(item) for item in tree.items))
        return tree

    def _schedule(self) -> None:
        """Find out anew what waits for what."""
        self._waits = {}
        self._ready.clear()
        flying = set(self._flying.values())
        for position in range(len(self._plan.nodes)):
            if position in self.steps or position in flying:
                continue
            missing = set(self._needs[position] - self.values.keys())
            if missing:
                self._waits[position] = missing
            else:
                self._ready.append(position)
        self._needed_by = {}
        for position, missing in self._waits.items():
            for node_needed in missing:
                self._needed_by.setdefault(node_needed, []).append(position)

    def _result_was_damaged(self) -> bool:
        """Check the bytes of what the pipeline returns; when they are damaged, schedule what made them."""
        result = self._plan.result
        if result is None or any(ref.node not in self.values for ref in refs(result)):
            return False
        places = self._places({"result": self.resolve(result)})
        if places is None:
            self._schedule()
        return places is None

    def _start_ready(self) -> None:
        while self._ready and len(self._flying) < 2 * self._ground.executor().slots:
            position = self._ready.popleft()
            node = self._plan.nodes[position]
            if position in self._damaged or position in self._missed or not self._hit(position, node):
                self._submit(position, node)
            else:
                self._release(position)

    def _release(self, position: int) -> None:
        """Let go those that waited for nothing but this result."""
        for other in self._needed_by.get(position, ()) if position in self.values else ():
            missing = self._waits.get(other)
            if missing is not None:
                missing.discard(position)
                if not missing:
                    del self._waits[other]
                    self._ready.append(other)

    def _hit(self, position: int, node: Node) -> bool:
        try:
            arguments = {name: self.resolve(tree) for name, tree in node.arguments.items()}
        except LookupError as missing:
            self._failed(position, node, "", Outcome(error=f"It gave no part {missing} that {node.label} takes."))
            return True
        key = self._keys[position] = key_of(node, arguments)
        row = self._found(key) if node.options.cached else None
        if row is None or not self._whole(value := store.value(row)):
            return False
        self.values[position] = value
        self.steps[position] = self._step(position, node, "hit", made_by=row["run_id"])
        self._unkept.append((self.steps[position], None))
        self._tell(self.steps[position])
        return True

    def _found(self, key: str) -> Row | None:
        if key not in self._known:
            row = self._ground.database.read(lambda tx: store.result(tx, key))
            if row is None:
                return None
            self._known[key] = row
        return self._known[key]

    def _whole(self, value: Tree) -> bool:
        """Whether the blobs are there; their bytes are checked when somebody needs them."""
        if isinstance(value, Leaf) and value.content is not None and value.kind != "model":
            return True
        return all(self._ground.blobs.has(digest) for leaf in leaves(value) for digest in blobs_of(leaf))

    def _submit(self, position: int, node: Node) -> None:
        arguments = {name: self.resolve(tree) for name, tree in node.arguments.items()}
        places = self._places(arguments)
        if places is None:
            self._schedule()  # an input was damaged: what made it runs again first
            return
        if self._begin is not None:
            self._begin()
            self._begin = None
        scratch = f"{self._scratch}/{position}"
        payload = msgspec.msgpack.encode(
            Perform(self._folder, self._stamp, node.target, arguments, places, scratch, self._ground.runtimes)
        )
        self._progress(Progress(node.label, "", 0.0, position, len(self._plan.nodes)))
        call = Call(target=PERFORM, payload=payload, label=f"the step {node.label}", folder=scratch)
        self._flying[self._ground.executor().submit(call)] = position

    def _places(self, arguments: Mapping[str, Tree]) -> dict[str, str] | None:
        """Where the bytes of arguments lie; None after giving back those whose bytes are damaged."""
        places: dict[str, str] = {}
        for leaf in (leaf for tree in arguments.values() for leaf in leaves(tree)):
            if "dataset" in leaf.meta:
                places[leaf.digest] = str(self._ground.snapshot_file(leaf.digest))
                continue
            try:
                places |= {digest: str(self._ground.blobs.path(digest)) for digest in blobs_of(leaf)}
            except NotFound:
                self._give_back(leaf)
                return None
        return places

    def _give_back(self, damaged: Leaf) -> None:
        for position, value in list(self.values.items()):
            if any(leaf.digest == damaged.digest for leaf in leaves(value)):
                del self.values[position], self.steps[position]
                self._damaged.add(position)

    def _collect(self) -> None:
        """Take in what ended; before waiting, keep what ended earlier."""
        done = {future for future in self._flying if future.done()}
        if self._flying and not done:
            self._keep()
            done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in done:
            position = self._flying.pop(future)
            self._ended(position, self._plan.nodes[position], future.result())
            self._release(position)
        if time.perf_counter() - self._kept_at > LONGEST_UNKEPT_S:
            self._keep()

    def _ended(self, position: int, node: Node, outcome: Outcome) -> None:
        key = self._keys[position]
        if outcome.error:
            self._failed(position, node, key, outcome)
            return
        performed = _performed.decode(outcome.answer)
        for digest, path in performed.files.items():
            if self._ground.blobs.put_file(Path(path)) != digest:
                raise Unavailable(f"A file that {node.label} wrote changed while it was kept.", "Run it again.")
        if performed.files:
            shutil.rmtree(f"{self._scratch}/{position}", ignore_errors=True)
        self.values[position] = performed.value
        self.steps[position] = self._step(position, node, "ran", self._maker(position, key), outcome)
        self._unkept.append((self.steps[position], self._row(position, outcome)))

    def _maker(self, position: int, key: str) -> str:
        """The run that a new result belongs to: the one that made it first, when its bytes were only lost."""
        row = self._known.get(key) if position in self._damaged else None
        return row["run_id"] if row and store.value(row) == self.values[position] else self._run_id

    def _failed(self, position: int, node: Node, key: str, outcome: Outcome) -> None:
        self._keys.setdefault(position, key)
        error = " ".join(part for part in (outcome.error, outcome.hint) if part)
        if outcome.trace:
            outcome = msgspec.structs.replace(outcome, log=outcome.log + outcome.trace.encode())
        self.steps[position] = self._step(position, node, "failed", outcome=outcome, error=error)
        self._unkept.append((self.steps[position], None))

    def _step(
        self, position: int, node: Node, status: Any, made_by: str = "", outcome: Outcome | None = None, error: str = ""
    ) -> StepRun:
        if outcome is None:
            return StepRun(
                position=position,
                step=node.step,
                label=node.label,
                key=self._keys.get(position, ""),
                status=status,
                made_by=made_by,
                started_at=self._began_at,
                error=error,
            )
        return StepRun(
            position=position,
            step=node.step,
            label=node.label,
            key=self._keys[position],
            status=status,
            made_by=made_by,
            started_at=to_text(self._ground.clock.now() - timedelta(seconds=outcome.seconds)),
            seconds=outcome.seconds,
            cpu_seconds=outcome.cpu_seconds,
            max_rss=outcome.max_rss,
            log=self._ground.blobs.put(outcome.log) if outcome.log else "",
            error=error,
        )

    def _now(self) -> str:
        return self._ground.clock.text()

    def _row(self, position: int, outcome: Outcome) -> dict[str, Any]:
        value = self.values[position]
        return {
            "key": self._keys[position],
            "value": msgspec.json.encode(value).decode(),
            "size": sum(leaf.size for leaf in leaves(value)),
            "run_id": self.steps[position].made_by,
            "made_at": self._now(),
            "seconds": outcome.seconds,
        }

    def _keep(self) -> None:
        """Write the rows of what ended; only then does it count and is told."""
        if all(step.status == "hit" for step, _ in self._unkept):
            return
        written, self._unkept = self._unkept, []
        self._ground.database.write(lambda tx: self._write(tx, written))
        self._kept_at = time.perf_counter()
        for step, _ in written:
            if step.status != "hit":
                self._tell(step)

    def _write(self, tx: Transaction, ended: Iterable[tuple[StepRun, dict[str, Any] | None]]) -> None:
        ended = list(ended)
        new = [step for step, _ in ended if step.status != "hit" and step.key]
        store.add_keys(tx, [self._key_row(step) for step in new])
        rows = [row for step, row in ended if row and step.position not in self._damaged]
        store.add_results(tx, rows, [row for step, row in ended if row and step.position in self._damaged])
        store.add_steps(tx, self._run_id, [step for step, _ in ended])

    def _key_row(self, step: StepRun) -> dict[str, Any]:
        node = self._plan.nodes[step.position]
        arguments = {name: self._argument(tree) for name, tree in node.arguments.items()}
        return {
            "key": step.key,
            "step": node.step,
            "code": node.code,
            "arguments": msgspec.json.encode(arguments).decode(),
            "seen_at": step.started_at,
        }

    def _argument(self, tree: Tree) -> Argument:
        resolved = self.resolve(tree)
        sources = sorted({self._plan.nodes[ref.node].label for ref in refs(tree)} | datasets_in(tree))
        return Argument("input" if sources else "parameter", of_tree(resolved), ", ".join(sources), shown(resolved))

    def _skip_rest(self) -> None:
        for position, node in enumerate(self._plan.nodes):
            if position not in self.steps:
                self.steps[position] = self._step(position, node, "skipped", error="A step that it needs failed.")
                self._unkept.append((self.steps[position], None))
                self._tell(self.steps[position])

    def _tell(self, step: StepRun) -> None:
        self._progress(Progress(step.label, step.status, step.seconds, step.position, len(self._plan.nodes)))

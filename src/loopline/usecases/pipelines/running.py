"""One pipeline run while it goes on: look up what is known, run what is not, keep what finished."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import LooplineError, NotFound
from loopline.core.times import from_text, to_text
from loopline.ports.database import Row
from loopline.ports.executor import Call, Outcome
from loopline.usecases.pipelines import expanding, store
from loopline.usecases.pipelines.claims import Claims
from loopline.usecases.pipelines.ground import Ground, Terms
from loopline.usecases.pipelines.hashing import digest_all, of_tree
from loopline.usecases.pipelines.journal import Entry, Journal
from loopline.usecases.pipelines.keys import datasets_in, key_of, needs_of, shown
from loopline.usecases.pipelines.model import (
    Argument,
    Choice,
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
from loopline.usecases.pipelines.values.writing import text
from loopline.usecases.pipelines.work import Perform, Performed

TICK_S = 0.25
SHORT_S = 0.05
MOMENT_S = 0.003
PERFORM = "loopline.usecases.pipelines.work:perform"
NOT_TAKEN = "The branch was not taken."
_performed = msgspec.msgpack.Decoder(Performed)


class Running:
    """The state of one run. `known` are results by key; `begin` is called before the first step runs.

    A node is considered when everything that it takes is there: it is left out (another branch was taken), divided into
    calls (a map or search), taken from the cache, or made ready to run. What ends releases those that waited for it.
    """

    def __init__(
        self,
        ground: Ground,
        run_id: str,
        plan: Plan,
        folder: str,
        stamp: str,
        terms: Terms,
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
        self._terms = terms
        self._known = dict(known)
        self._progress = progress
        self._claims = Claims(ground.scratch.parent / "claims")
        self._journal = Journal(ground.database, run_id, self._before_rows_of_steps, self._tell, self._claims.give_back)
        self._began_at = ground.clock.text()
        self._nodes: list[Node] = list(plan.nodes)
        self._needs = [needs_of(node) for node in plan.nodes]
        self._keys: dict[int, str] = {}
        self._anew: set[int] = set()
        self._damaged: set[int] = set()
        self._pending: deque[int] = deque(range(len(plan.nodes)))
        self._ready: deque[int] = deque()
        self._waits: dict[int, set[int]] = {}
        self._needed_by: dict[int, list[int]] = {}
        self._parts: dict[int, list[int]] = {}
        self._whole_of: dict[int, int] = {}
        self._points: dict[int, dict[str, Any]] = {}
        self._flying: dict[Future[Outcome], int] = {}
        self._elsewhere: list[int] = []
        self._later: list[tuple[float, int]] = []
        self._attempts: dict[int, int] = {}
        self._logs: dict[int, bytes] = {}
        self._announced: set[int] = set()
        self._heard: dict[int, int] = {}
        self._next_tick = time.perf_counter() + TICK_S
        self.cancelled = ""
        self.values: dict[int, Tree] = {}
        self.steps: dict[int, StepRun] = {}
        self.trials: list[tuple[str, dict[str, Any], float | None, StepRun]] = []

    def go(self) -> None:
        """Take what is known, run what is not, independent steps side by side, until nothing is left that could."""
        try:
            while not self.cancelled and (self._left() or self._result_was_damaged()):
                self._settle()
                self._start_ready()
                self._collect()
            while self._flying:
                self._collect()
        finally:
            for future in list(self._flying):
                self._ground.executor().stop(future)
            self._journal.flush()
            self._claims.close()
            if self._begin is None:
                shutil.rmtree(self._scratch, ignore_errors=True)
        self._skip_rest()

    def unkept(self) -> list[StepRun]:
        """Step runs whose rows are not written yet (those of hits are written with the end of the run)."""
        return self._journal.rest()

    def resolve(self, tree: Tree) -> Tree:
        """A tree with references replaced by what they stand for."""
        if isinstance(tree, Ref):
            value = self.values[tree.node]
            return at(value, tree.path) if tree.path else value
        if isinstance(tree, Data):
            digest = self._terms.snapshots[tree.dataset]
            return Leaf("table", digest, 0, None, {"frame": "pyarrow", "dataset": tree.dataset})
        if isinstance(tree, Many):
            return msgspec.structs.replace(tree, items=tuple(self.resolve(item) for item in tree.items))
        if isinstance(tree, Choice):
            return self.resolve(tree.then if self._holds(tree.condition) else tree.otherwise)
        return tree

    # What is next

    def _left(self) -> bool:
        return bool(self._pending or self._ready or self._flying or self._elsewhere or self._later)

    def _settle(self) -> None:
        while self._pending and not self.cancelled:
            position = self._pending.popleft()
            if position not in self.steps:
                self._consider(position, self._nodes[position])

    def _consider(self, position: int, node: Node) -> None:
        try:
            missing = self._missing(position, node)
            if missing:
                self._wait(position, missing)
            elif not all(self._holds(guard.condition) is guard.wanted for guard in node.guards):
                self._end(position, self._step(position, node, "skipped", error=NOT_TAKEN))
            elif position in self._parts:
                self._gather(position, node)
            elif node.over or node.search is not None:
                self._divide(position, node)
            elif not self._hit(position, node):
                self._ready.append(position)
        except LooplineError as error:
            self._failed(position, node, Outcome(error=error.message, hint=error.hint))
        except LookupError as part:
            self._failed(position, node, Outcome(error=f"It gave no part {part} that {node.label} takes."))

    def _missing(self, position: int, node: Node) -> list[int]:
        """Positions of what a node waits for, as far as is known by now."""
        if position in self._parts:
            return [part for part in self._parts[position] if part not in self.steps]
        needs = self._needs[position]
        if needs is not None:
            return [need for need in needs if need not in self.values]
        for guard in node.guards:
            if guard.condition.node not in self.values:
                return [guard.condition.node]
            if self._holds(guard.condition) is not guard.wanted:
                return []
        return list({need for tree in node.arguments.values() for need in self._lacking(tree)})

    def _lacking(self, tree: Tree) -> list[int]:
        if isinstance(tree, Many):
            return [need for item in tree.items for need in self._lacking(item)]
        if isinstance(tree, Choice):
            if tree.condition.node not in self.values:
                return [tree.condition.node]
            return self._lacking(tree.then if self._holds(tree.condition) else tree.otherwise)
        return [ref.node for ref in refs(tree) if ref.node not in self.values]

    def _holds(self, condition: Ref) -> bool:
        return expanding.truth(self.resolve(condition), self._content)

    def _content(self, leaf: Leaf) -> bytes:
        return leaf.content if leaf.content is not None else self._ground.blobs.get(leaf.digest)

    def _wait(self, position: int, missing: Sequence[int]) -> None:
        self._waits[position] = set(missing)
        for need in missing:
            self._needed_by.setdefault(need, []).append(position)

    def _end(self, position: int, step: StepRun, **entry: Any) -> None:
        """A step has ended: keep that, and let go those that waited for nothing else."""
        self.steps[position] = step
        self._journal.add(Entry(step, **entry))
        if step.status == "hit":
            self._tell(step)
        if position in self._elsewhere:
            self._elsewhere.remove(position)
        for other in self._needed_by.get(position, ()):
            missing = self._waits.get(other)
            if missing is not None and (position in self.values or other in self._parts):
                missing.discard(position)
                if not missing:
                    del self._waits[other]
                    self._pending.append(other)

    # Maps and searches

    def _divide(self, position: int, node: Node) -> None:
        arguments = {name: self.resolve(tree) for name, tree in node.arguments.items()}
        self._parts[position] = []
        if node.search is not None:
            self._try_points(position, node)
        else:
            self._add_parts(position, expanding.calls_of(node, arguments, self._content))

    def _add_parts(self, position: int, calls: Sequence[Node]) -> None:
        for call in calls:
            self._nodes.append(call)
            self._needs.append(needs_of(call))
            self._parts[position].append(len(self._nodes) - 1)
            self._whole_of[len(self._nodes) - 1] = position
            self._pending.append(len(self._nodes) - 1)
        missing = [part for part in self._parts[position] if part not in self.steps]  # earlier rounds have ended
        self._wait(position, missing) if calls else self._gather(position, self._nodes[position])

    def _try_points(self, position: int, node: Node) -> bool:
        """Add the next trials of a search; whether there are any."""
        from loopline.usecases.pipelines.searching import points

        assert node.search is not None
        found = points(node.search, self._told(position, node))
        first = len(self._parts[position])
        calls = [
            expanding.call(node, first + n, {**node.arguments, **{name: text(one) for name, one in point.items()}})
            for n, point in enumerate(found)
        ]
        for n, point in enumerate(found):
            self._points[len(self._nodes) + n] = point
        if calls:
            self._add_parts(position, calls)
        return bool(calls)

    def _told(self, position: int, node: Node) -> list[tuple[dict[str, Any], float | None]]:
        parts = self._parts[position]
        return [(self._points[one], expanding.measured(node, self.values.get(one), self._content)) for one in parts]

    def _gather(self, position: int, node: Node) -> None:
        """The calls of a map or search have ended: its value, or further trials."""
        parts = [self.steps[part] for part in self._parts[position]]
        failed = [step for step in parts if step.status != "hit" and step.status != "ran"]
        if node.search is not None and self._try_points(position, node):
            return
        if failed and (node.search is None or len(failed) == len(parts)):
            first = failed[0]
            told = f"{len(failed)} of its {len(parts)} calls failed; {first.label}: {first.error}"
            self._failed(position, node, Outcome(error=told))
            return
        self.values[position] = self._value_of(position, node)
        status = "hit" if all(step.status == "hit" for step in parts) else "ran"
        self._keys[position] = digest_all(("calls", *(step.key for step in parts)))
        step = self._step(position, node, status, parts[0].made_by if parts else self._run_id)
        step = msgspec.structs.replace(step, seconds=sum(one.seconds for one in parts), started_at=self._first(parts))
        self._end(position, step)

    def _value_of(self, position: int, node: Node) -> Tree:
        parts = self._parts[position]
        if node.search is None:
            arguments = {name: self.resolve(tree) for name, tree in node.arguments.items()}
            return expanding.gathered(node, arguments, [self.values[part] for part in parts], self._content)
        from loopline.usecases.pipelines.searching import summary

        told = self._told(position, node)
        self.trials += [
            (node.label, point, measure, self.steps[part]) for part, (point, measure) in zip(parts, told, strict=True)
        ]
        return text(summary(node.search, told))

    def _first(self, parts: Sequence[StepRun]) -> str:
        return min((one.started_at for one in parts), default=self._began_at)

    # Hits

    def _hit(self, position: int, node: Node) -> bool:
        arguments = {name: self.resolve(tree) for name, tree in node.arguments.items()}
        key = self._keys[position] = key_of(node, arguments, self._beside(node))
        if not node.options.cached or self._forced(position, node):
            self._anew.add(position)
            return False
        if position in self._damaged:
            return False
        row = self._found(key)
        if row is None:
            return False
        if self._too_old(node, row) or not self._whole(value := store.value(row)):
            self._anew.add(position)
            return False
        self.values[position] = value
        self._end(position, self._step(position, node, "hit", made_by=row["run_id"]))
        return True

    def _beside(self, node: Node) -> list[str]:
        counted = [part for one in node.options.externals for part in ("external", self._terms.externals[one])]
        seed = self._terms.seed if node.options.seed is None else node.options.seed
        return [*counted, "seed", str(seed)] if seed else counted

    def _forced(self, position: int, node: Node) -> bool:
        if not self._terms.force:
            return False
        whole = self._whole_of.get(position)
        return node.label in self._terms.force or (whole is not None and self._forced(whole, self._nodes[whole]))

    def _too_old(self, node: Node, row: Row) -> bool:
        age = node.options.max_age
        return bool(age) and self._ground.clock.now() - from_text(row["made_at"]) > timedelta(seconds=age)

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

    # Calls

    def _start_ready(self) -> None:
        while self._ready and not self.cancelled and len(self._flying) < 2 * self._ground.executor().slots:
            position = self._ready.popleft()
            node = self._nodes[position]
            if self._missing(position, node):  # an input turned out damaged in the meantime
                self._pending.append(position)
            elif node.options.cached and not self._claims.take(self._keys[position]):
                self._elsewhere.append(position)
            else:
                self._submit(position, node)

    def _submit(self, position: int, node: Node) -> None:
        arguments = {name: self.resolve(tree) for name, tree in node.arguments.items()}
        places = self._places(arguments)
        if places is None:  # an input was damaged: what made it runs again first
            self._claims.give_back(self._keys[position])
            self._pending.append(position)
            return
        self._before_rows()
        self._progress(Progress(node.label, "", 0.0, position, len(self._nodes)))
        self._flying[self._ground.executor().submit(self._call(position, node, arguments, places))] = position

    def _before_rows(self) -> None:
        """The row of the run comes before those of its steps."""
        if self._begin is not None:
            self._begin()
            self._begin = None

    def _before_rows_of_steps(self) -> None:
        """So do the bytes of their results."""
        self._before_rows()
        self._ground.blobs.settle()

    def _call(self, position: int, node: Node, arguments: dict[str, Tree], places: dict[str, str]) -> Call:
        scratch, options = f"{self._scratch}/{position}", node.options
        seed = self._terms.seed if options.seed is None else options.seed
        libraries: list[str] = [
            name for name in ("numpy", "torch") if name in self._plan.codes[node.code].distributions
        ]
        perform = Perform(
            self._folder,
            self._stamp,
            node.target,
            arguments,
            places,
            scratch,
            self._ground.runtimes,
            seed,
            libraries,
        )
        return Call(
            target=PERFORM,
            payload=msgspec.msgpack.encode(perform),
            label=f"the step {node.label}",
            folder=scratch,
            places=places,
            projects={self._stamp: self._folder},
            timeout=options.timeout,
            memory=options.memory,
            cpu=options.cpu,
            environment={**options.environment, **self._terms.variables},
            python=self._terms.python,
        )

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
                if position not in self._parts:
                    self._damaged.add(position)
                self._pending.append(position)

    def _result_was_damaged(self) -> bool:
        """Check the bytes of what the pipeline returns; when they are damaged, what made them is considered again."""
        result = self._plan.result
        if result is None or self._lacking(result):
            return False
        try:
            return self._places({"result": self.resolve(result)}) is None
        except LookupError:  # it gave no such part: told at the end
            return False

    # Outcomes

    def _collect(self) -> None:
        """Take in what ended, and look around from time to time."""
        done = {future for future in self._flying if future.done()}
        if not done and (self._flying or self._elsewhere or self._later) and not self._ready and not self._pending:
            done = self._waited()
        for future in done:
            position = self._flying.pop(future)
            self._ended(position, self._nodes[position], future.result())
        if self._journal.due():
            self._journal.flush()
        if time.perf_counter() >= self._next_tick:
            self._tick()

    def _waited(self) -> set[Future[Outcome]]:
        patience = SHORT_S if self._elsewhere or self._later else TICK_S
        self._next_tick = min(self._next_tick, time.perf_counter() + patience)
        if not self._flying:
            self._journal.flush()
            time.sleep(patience)
            return set()
        return self._soon() or wait(self._flying, patience, FIRST_COMPLETED)[0]

    def _soon(self) -> set[Future[Outcome]]:
        """What ends in a moment: quick steps are written down together, before anything slow is waited for."""
        done = wait(self._flying, MOMENT_S, FIRST_COMPLETED)[0]
        if not done:
            self._journal.flush()
        return done

    def _ended(self, position: int, node: Node, outcome: Outcome) -> None:
        log = self._logs.pop(position, b"") + outcome.log + (outcome.trace.encode() if outcome.error else b"")
        outcome = msgspec.structs.replace(outcome, log=self._terms.masked(log))
        if outcome.error:
            if not self._again(position, node, outcome):
                self._failed(position, node, outcome)
            return
        performed = _performed.decode(outcome.answer)
        for digest, path in performed.files.items():
            self._ground.blobs.adopt(digest, Path(path))
        if performed.files:
            shutil.rmtree(f"{self._scratch}/{position}", ignore_errors=True)
        self.values[position] = performed.value
        step = self._step(position, node, "ran", self._maker(position), outcome)
        anew = position in self._damaged or position in self._anew
        arguments = self._arguments(position, node)
        self._end(
            position, step, code=node.code, arguments=arguments, result=self._row(step, performed.value), anew=anew
        )

    def _again(self, position: int, node: Node, outcome: Outcome) -> bool:
        """Whether a failed call is made again later."""
        made = self._attempts.get(position, 1)
        if made > node.options.retries or outcome.reason == "stopped" or self.cancelled:
            return False
        told = f"[attempt {made} failed: {outcome.error}]\n".encode()
        self._logs[position] = outcome.log + told
        self._attempts[position] = made + 1
        self._later.append((time.perf_counter() + node.options.backoff * 2 ** (made - 1), position))
        return True

    def _maker(self, position: int) -> str:
        """The run that a new result belongs to: the one that made it first, when its bytes were only lost."""
        row = self._known.get(self._keys[position]) if position in self._damaged else None
        return row["run_id"] if row and store.value(row) == self.values[position] else self._run_id

    def _failed(self, position: int, node: Node, outcome: Outcome) -> None:
        error = " ".join(part for part in (outcome.error, outcome.hint) if part)
        cancelled = bool(self.cancelled) and outcome.reason == "stopped"
        error = f"Cancelled by {self.cancelled}." if cancelled else self._terms.masked(error.encode()).decode()
        step = self._step(position, node, "cancelled" if cancelled else "failed", outcome=outcome, error=error)
        self._end(position, step, code=node.code, arguments=self._arguments(position, node))

    def _step(
        self, position: int, node: Node, status: Any, made_by: str = "", outcome: Outcome | None = None, error: str = ""
    ) -> StepRun:
        whole = self._whole_of.get(position)
        value = self.values.get(position)
        plain = StepRun(
            position=position,
            step=node.step,
            label=node.label,
            key=self._keys.get(position, ""),
            status=status,
            made_by=made_by,
            started_at=self._began_at,
            error=error,
            attempts=self._attempts.get(position, 1),
            part_of="" if whole is None else self._nodes[whole].label,
            output="" if value is None else of_tree(value),
        )
        if outcome is None:
            return plain
        return msgspec.structs.replace(
            plain,
            started_at=to_text(self._ground.clock.now() - timedelta(seconds=outcome.seconds)),
            seconds=outcome.seconds,
            cpu_seconds=outcome.cpu_seconds,
            max_rss=outcome.max_rss,
            warnings=outcome.warnings,
            log=self._ground.blobs.put(outcome.log) if outcome.log else "",
        )

    def _row(self, step: StepRun, value: Tree) -> dict[str, Any]:
        return {
            "key": step.key,
            "value": msgspec.json.encode(value).decode(),
            "size": sum(leaf.size for leaf in leaves(value)),
            "run_id": step.made_by,
            "made_at": self._ground.clock.text(),
            "seconds": step.seconds,
        }

    def _arguments(self, position: int, node: Node) -> dict[str, Argument] | None:
        """What the step's key was made of, as people are told; None when it has no key."""
        if position not in self._keys:
            return None
        whole = self._whole_of.get(position)
        sources = self._nodes[whole].arguments if whole is not None else {}
        found = {
            name: self._argument(node, name, tree, sources.get(name, tree)) for name, tree in node.arguments.items()
        }
        for one in node.options.externals:
            mark, title = self._terms.externals[one], external_title(one)
            found[title] = Argument("external", mark, "", mark[:60])
        return found

    def _argument(self, node: Node, name: str, tree: Tree, source: Tree) -> Argument:
        resolved = self.resolve(tree)
        sources = sorted({self._nodes[ref.node].label for ref in refs(source)} | datasets_in(source))
        kind = "volatile" if name in node.options.volatile else "input" if sources else "parameter"
        return Argument(kind, of_tree(resolved), ", ".join(sources), shown(resolved))  # type: ignore[arg-type]

    # While it goes on

    def _tick(self) -> None:
        """Four times a second: who wants to stop it, what is running and prints, what others have made, what is due."""
        now = time.perf_counter()
        self._next_tick = now + TICK_S
        self._announce()
        self._listen()
        if self._begin is None and not self.cancelled:
            self.cancelled = self._ground.database.read(lambda tx: store.cancelled_by(tx, self._run_id))
            if self.cancelled:
                self._stop()
        for position in list(self._elsewhere):
            self._look_elsewhere(position, self._nodes[position])
        due = [position for at_, position in self._later if at_ <= now]
        self._later = [one for one in self._later if one[1] not in due]
        self._ready.extend(due)

    def _announce(self) -> None:
        """Write down which steps have been running for a while."""
        for position in set(self._flying.values()) - self._announced:
            self._announced.add(position)
            step = self._step(position, self._nodes[position], "running")
            step = msgspec.structs.replace(step, started_at=self._ground.clock.text())
            self._journal.add(Entry(step))
        self._journal.flush()

    def _listen(self) -> None:
        """Put what running steps print where others can read it."""
        for future, position in self._flying.items():
            heard = self._terms.masked(self._ground.executor().log(future))
            known = self._heard.get(position, 0)
            if len(heard) > known:
                self._heard[position] = len(heard)
                path = Path(self._scratch, f"{position}.log")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(heard)
                node = self._nodes[position]
                told = heard[known:].decode(errors="replace")
                self._progress(Progress(node.label, "running", 0.0, position, len(self._nodes), told))

    def _look_elsewhere(self, position: int, node: Node) -> None:
        """Take the result that another run has made by now, or make it when that run gave up."""
        if self._hit(position, node):
            return
        if self._claims.take(self._keys[position]):
            self._elsewhere.remove(position)
            if not self._hit(position, node):
                self._submit(position, node)

    def _stop(self) -> None:
        self._pending.clear()
        self._ready.clear()
        self._elsewhere.clear()
        self._later.clear()
        for future in list(self._flying):
            self._ground.executor().stop(future)

    def _skip_rest(self) -> None:
        error = f"Cancelled by {self.cancelled}." if self.cancelled else "A step that it needs failed."
        for position, node in enumerate(self._nodes):
            if position not in self.steps:
                not_taken = not self.cancelled and self._hangs(position, node)
                step = self._step(position, node, "skipped", error=NOT_TAKEN if not_taken else error)
                self.steps[position] = step
                self._journal.add(Entry(step))
                self._tell(step)

    def _hangs(self, position: int, node: Node) -> bool:
        """Whether a node could not run only because a branch was not taken."""
        missing = self._missing(position, node)
        return bool(missing) and all(one in self.steps and self.steps[one].error == NOT_TAKEN for one in missing)

    def _tell(self, step: StepRun) -> None:
        self._progress(Progress(step.label, step.status, step.seconds, step.position, len(self._nodes)))


def external_title(external: Any) -> str:
    """An external as people know it."""
    kind = type(external).__name__.lower()
    return f"{kind} {getattr(external, 'path', '') or getattr(external, 'query', '') or getattr(external, 'url', '')}"

"""One pipeline run while it goes on: look up what is known, run what is not, keep what finished."""

from __future__ import annotations

import contextlib
import queue
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import LooplineError
from loopline.core.times import from_text
from loopline.ports.database import Row
from loopline.ports.executor import Outcome
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.calls import call_of, places_of
from loopline.usecases.pipelines.claims import Claims
from loopline.usecases.pipelines.ground import Ground, Terms
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.journal import Entry, Journal
from loopline.usecases.pipelines.keys import key_of
from loopline.usecases.pipelines.live import Live
from loopline.usecases.pipelines.model import Leaf, Node, Plan, Progress, StepRun, Tree, leaves
from loopline.usecases.pipelines.records import Records
from loopline.usecases.pipelines.several import Several
from loopline.usecases.pipelines.state import Damaged, State
from loopline.usecases.pipelines.values.blobs import blobs_of
from loopline.usecases.pipelines.work import Performed

TICK_S = 0.25
SHORT_S = 0.05
MOMENT_S = 0.003
LONGEST_PAUSE_S = 3600.0
SLOW_S = 0.005
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
        self.state = State(ground, run_id, plan, folder, stamp, terms)
        self.cancelled = ""
        self._begin: Callable[[], None] | None = begin
        self._known = dict(known)
        self._progress = progress
        self._claims = Claims(ground.scratch.parent / "claims")
        self._journal = Journal(ground.database, run_id, self._before_rows, self._tell, self._claims.give_back)
        self._records = Records(self.state)
        self._several = Several(self.state)
        self._live = Live(self.state, self._journal, progress)
        self._anew: set[int] = set()
        self._damaged: set[int] = set()
        self._pending: deque[int] = deque(range(len(plan.nodes)))
        self._ready: deque[int] = deque()
        self._waits: dict[int, set[int]] = {}
        self._needed_by: dict[int, list[int]] = {}
        self._flying: dict[Future[Outcome], int] = {}
        self._done: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        self._making: dict[str, int] = {}
        self._made: set[str] = set()
        self._twins: set[int] = set()
        self._elsewhere: list[int] = []
        self._later: list[tuple[float, int]] = []
        self._logs: dict[int, bytes] = {}
        self._next_tick = time.perf_counter() + TICK_S

    @property
    def values(self) -> dict[int, Tree]:
        """What the nodes gave, by position."""
        return self.state.values

    @property
    def steps(self) -> dict[int, StepRun]:
        """The step runs so far, by position."""
        return self.state.steps

    @property
    def trials(self) -> Sequence[tuple[str, dict[str, Any], float | None, StepRun]]:
        """The trials of searches: (label, point, number, step run)."""
        return self._several.trials

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
                self.state.ground.executor().stop(future)
            try:
                self._journal.flush()
            finally:
                self._claims.close()
                if self._begin is None:
                    shutil.rmtree(self.state.scratch, ignore_errors=True)
        self._skip_rest()

    def unkept(self) -> list[StepRun]:
        """Step runs whose rows are not written yet (those of hits are written with the end of the run)."""
        return self._journal.rest()

    def resolve(self, tree: Tree) -> Tree:
        """A tree with references replaced by what they stand for."""
        return self.state.resolve(tree)

    def _left(self) -> bool:
        return bool(self._pending or self._ready or self._flying or self._elsewhere or self._later)

    def _settle(self) -> None:
        while self._pending and not self.cancelled:
            position = self._pending.popleft()
            if position not in self.state.steps:
                self._consider(position, self.state.nodes[position])

    def _consider(self, position: int, node: Node) -> None:
        try:
            missing = self.state.missing(position, node)
            if missing:
                self._wait(position, missing)
            elif not all(self.state.holds(guard.condition) is guard.wanted for guard in node.guards):
                self._end(position, self._records.step(position, node, "skipped", error=NOT_TAKEN))
            elif position in self.state.parts:
                self._gather(position, node, self._several.more(position, node))
            elif node.over or node.search is not None:
                self._gather(position, node, self._several.divided(position, node))
            elif not self._hit(position, node):
                self._ready.append(position)
        except LooplineError as error:
            self._failed(position, node, Outcome(error=error.message, hint=error.hint))
        except LookupError as part:
            self._failed(position, node, Outcome(error=f"What it takes has no part {part}."))
        except Damaged as damaged:
            self._made_anew(position, node, damaged)

    def _wait(self, position: int, missing: Sequence[int]) -> None:
        self._waits[position] = set(missing)
        for need in missing:
            self._needed_by.setdefault(need, []).append(position)

    def _end(self, position: int, step: StepRun, **entry: Any) -> None:
        """A step has ended: keep that, and let go those that waited for nothing else."""
        self.state.steps[position] = step
        self._journal.add(Entry(step, **entry))
        if self._making.get(step.key) == position:
            del self._making[step.key]
        if step.status == "hit":
            self._tell(step)
        for other in self._needed_by.get(position, ()):
            missing = self._waits.get(other)
            whatever = other in self.state.parts or other in self._twins
            if missing is not None and (position in self.state.values or whatever):
                missing.discard(position)
                if not missing:
                    del self._waits[other]
                    self._pending.append(other)

    def _gather(self, position: int, node: Node, calls: Sequence[int]) -> None:
        """Begin the next calls of a map or search; when there are none, it has ended."""
        if calls:
            self._pending.extend(calls)
            self._wait(position, calls)
            return
        wrong = self._several.failed(position, node)
        if wrong:
            self._failed(position, node, Outcome(error=wrong))
            return
        self.state.values[position] = self._several.value(position, node)
        parts = [self.state.steps[part] for part in self.state.parts[position]]
        status = "hit" if all(step.status == "hit" for step in parts) else "ran"
        step = self._records.step(position, node, status, parts[0].made_by if parts else self.state.run_id)
        began = min((one.started_at for one in parts), default=self.state.began_at)
        took = sum(one.seconds for one in parts)
        self._end(position, msgspec.structs.replace(step, seconds=took, started_at=began))

    def _hit(self, position: int, node: Node) -> bool:
        key = self.state.keys[position] = key_of(node, self.state.arguments(node), self._beside(node))
        if not node.options.cached or (self.state.forced(position) and key not in self._made):
            self._anew.add(position)
            return False
        if position in self._damaged:
            return False
        row = self._found(key)
        if row is None:
            return False
        if self._too_old(node, row) or not self._whole(value := store.value(row)):
            self._anew.add(position)
            self._made.discard(key)
            del self._known[key]  # another run may make it meanwhile
            return False
        self.state.values[position] = value
        self._end(position, self._records.step(position, node, "hit", made_by=row["run_id"]))
        return True

    def _beside(self, node: Node) -> list[str]:
        """What counts for a key beside code and arguments."""
        counted = [part for one in node.options.externals for part in ("external", self.state.terms.externals[one])]
        counted += [part for pair in sorted(node.options.environment.items()) for part in ("variable", *pair)]
        if node.options.lock:
            counted += ("lock", digest(self.state.terms.locks[node.options.lock]))
        seed = self.state.seed(node)
        return [*counted, "seed", str(seed)] if seed else counted

    def _too_old(self, node: Node, row: Row) -> bool:
        age = node.options.max_age
        return bool(age) and self.state.ground.clock.now() - from_text(row["made_at"]) > timedelta(seconds=age)

    def _found(self, key: str) -> Row | None:
        if key not in self._known:
            row = self.state.ground.database.row(store.RESULT_OF, {"key": key})
            if row is None:
                return None
            self._known[key] = row
        return self._known[key]

    def _whole(self, value: Tree) -> bool:
        """Whether the blobs are there; their bytes are checked when somebody needs them."""
        if isinstance(value, Leaf) and value.content is not None and value.kind != "model":
            return True
        return all(self.state.ground.blobs.has(digest) for leaf in leaves(value) for digest in blobs_of(leaf))

    def _start_ready(self) -> None:
        while self._ready and not self.cancelled and len(self._flying) < 2 * self.state.ground.executor().slots:
            position = self._ready.popleft()
            node, key = self.state.nodes[position], self.state.keys[position]
            if self.state.missing(position, node):  # an input turned out damaged in the meantime
                self._pending.append(position)
            elif not node.options.cached:
                self._submit(position, node)
            elif self._making.get(key, position) != position:  # the same call stands twice in the pipeline
                self._twins.add(position)
                self._wait(position, [self._making[key]])
            elif key in self._made:
                self._pending.append(position)
            elif not self._claims.take(key):
                self._before_rows()  # a run that waits for another is seen, and can be cancelled
                self._elsewhere.append(position)
            elif self._came(position, node):
                self._claims.give_back(key)
            else:
                self._submit(position, node)

    def _came(self, position: int, node: Node) -> bool:
        """Whether another run has made a result since it was looked for."""
        key = self.state.keys[position]
        return key not in self._known and self._found(key) is not None and self._hit(position, node)

    def _submit(self, position: int, node: Node) -> None:
        arguments = self.state.arguments(node)
        try:
            places = places_of(self.state, arguments)
        except Damaged as damaged:  # what made it runs again first
            self._claims.give_back(self.state.keys[position])
            self._made_anew(position, node, damaged)
            return
        self._before_rows()
        self._making[self.state.keys[position]] = position
        self._progress(
            Progress(node.label, "", 0.0, position, len(self.state.nodes), calls=self.state.beside(position))
        )
        try:
            call = call_of(self.state, position, node, arguments, places)
        except LooplineError as error:  # its environment cannot be made
            self._failed(position, node, Outcome(error=error.message, hint=error.hint))
            return
        future = self.state.ground.executor().submit(call)
        self._flying[future] = position
        future.add_done_callback(self._done.put)

    def _before_rows(self) -> None:
        """The row of the run comes before those of its steps."""
        if self._begin is not None:
            self._begin()
            self._begin = None

    def _made_anew(self, position: int, node: Node, damaged: Damaged) -> None:
        """Consider a node again once what it takes has been made again; it fails when nothing can."""
        if self._give_back(damaged.leaf):
            self._pending.append(position)
        else:
            self._failed(position, node, Outcome(error="The bytes of what it takes are gone, and no step made them."))

    def _give_back(self, damaged: Leaf) -> bool:
        """Have what made these bytes run again; whether something did."""
        found = False
        for position, value in list(self.state.values.items()):
            if any(leaf.digest == damaged.digest for leaf in leaves(value)):
                found = True
                del self.state.values[position], self.state.steps[position]
                if position not in self.state.parts:
                    self._damaged.add(position)
                    self._made.discard(self.state.keys[position])
                self._pending.append(position)
        return found

    def _result_was_damaged(self) -> bool:
        """Check the bytes of what the pipeline returns; when they are damaged, what made them is considered again."""
        result = self.state.plan.result
        try:
            if result is not None and not self.state.lacking(result):
                places_of(self.state, {"result": self.state.resolve(result)})
        except (LookupError, LooplineError):  # it gave no such part, or a branch hangs on no truth: told at the end
            return False
        except Damaged as damaged:
            return self._give_back(damaged.leaf)
        return False

    def _collect(self) -> None:
        """Take in what ended, and look around from time to time."""
        done = self._arrived()
        if not done and (self._flying or self._elsewhere or self._later) and not self._ready and not self._pending:
            done = self._waited()
        slow = False
        for future in done:
            position, outcome = self._flying.pop(future), future.result()
            self._ended(position, self.state.nodes[position], outcome)
            slow = slow or outcome.seconds > SLOW_S
        if slow or self._journal.due():  # what took its time is written down at once
            self._journal.flush()
        if time.perf_counter() >= self._next_tick:
            self._tick()

    def _waited(self) -> list[Future[Outcome]]:
        """What ends within a tick. Quick steps are written down together, before anything slow is waited for."""
        patience = SHORT_S if self._elsewhere or self._later else TICK_S
        self._next_tick = min(self._next_tick, time.perf_counter() + patience)
        if not self._flying:
            self._journal.flush()
            time.sleep(patience)
            return []
        done = self._arrived(MOMENT_S)
        if not done:
            self._journal.flush()
            done = self._arrived(patience)
        return done

    def _arrived(self, patience: float = 0.0) -> list[Future[Outcome]]:
        """Calls that have ended, after waiting for the first of them as long as said."""
        found: list[Future[Outcome]] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._done.get(timeout=patience) if patience else self._done.get_nowait())
            while True:
                found.append(self._done.get_nowait())
        return found

    def _ended(self, position: int, node: Node, outcome: Outcome) -> None:
        self._live.rest(position, outcome)
        log = self._logs.pop(position, b"") + outcome.log + (outcome.trace.encode() if outcome.error else b"")
        outcome = msgspec.structs.replace(outcome, log=self.state.terms.masked(log))
        if outcome.error:
            if not self._again(position, node, outcome):
                self._failed(position, node, outcome)
            return
        performed = _performed.decode(outcome.answer)
        for content, path in performed.files.items():
            self.state.ground.blobs.adopt(content, Path(path))
        if performed.files:
            shutil.rmtree(f"{self.state.scratch}/{position}", ignore_errors=True)
        self.state.values[position] = performed.value
        step = self._records.step(position, node, "ran", self._maker(position), outcome)
        row = self._records.row(step, performed.value)
        anew = position in self._damaged or position in self._anew
        self._damaged.discard(position)
        if node.options.cached:
            self._known[step.key] = row
            self._made.add(step.key)
        arguments = self._records.arguments(position, node)
        self._end(position, step, code=node.code, arguments=arguments, result=row, anew=anew)

    def _maker(self, position: int) -> str:
        """The run that a new result belongs to: the one that made it first, when its bytes were only lost."""
        row = self._known.get(self.state.keys[position]) if position in self._damaged else None
        return row["run_id"] if row and store.value(row) == self.state.values[position] else self.state.run_id

    def _again(self, position: int, node: Node, outcome: Outcome) -> bool:
        """Whether a failed call is made again later."""
        made = self.state.attempts.get(position, 1)
        if made > node.options.retries or outcome.reason == "stopped" or self.cancelled:
            return False
        told = f"[attempt {made} failed: {outcome.error}]\n".encode()
        self._logs[position] = outcome.log + told
        self.state.attempts[position] = made + 1
        pause = min(node.options.backoff * 2 ** (made - 1), LONGEST_PAUSE_S)
        self._later.append((time.perf_counter() + pause, position))
        return True

    def _failed(self, position: int, node: Node, outcome: Outcome) -> None:
        error = " ".join(part for part in (outcome.error, outcome.hint) if part)
        cancelled = bool(self.cancelled) and outcome.reason == "stopped"
        error = f"Cancelled by {self.cancelled}." if cancelled else self.state.terms.masked(error.encode()).decode()
        step = self._records.step(position, node, "cancelled" if cancelled else "failed", outcome=outcome, error=error)
        self._end(position, step, code=node.code, arguments=self._records.arguments(position, node))

    def _tick(self) -> None:
        """Four times a second: who wants to stop it, what runs and prints, what others have made, what is due."""
        now = time.perf_counter()
        self._next_tick = now + TICK_S
        self._live.show(self._flying)
        if self._begin is None and not self.cancelled:
            self.cancelled = self.state.ground.database.read(lambda tx: store.cancelled_by(tx, self.state.run_id))
            if self.cancelled:
                self._stop()
        for position in list(self._elsewhere):
            self._look_elsewhere(position, self.state.nodes[position])
        due = [position for at, position in self._later if at <= now]
        self._later = [one for one in self._later if one[1] not in due]
        self._ready.extend(due)

    def _look_elsewhere(self, position: int, node: Node) -> None:
        """Take the result that another run has made by now, or make it when that run gave up."""
        if self._hit(position, node):
            self._elsewhere.remove(position)
        elif self._claims.take(self.state.keys[position]):
            self._elsewhere.remove(position)
            if not self._hit(position, node):
                self._submit(position, node)

    def _stop(self) -> None:
        self._pending.clear()
        self._ready.clear()
        self._elsewhere.clear()
        self._later.clear()
        for future in list(self._flying):
            self.state.ground.executor().stop(future)

    def _skip_rest(self) -> None:
        error = f"Cancelled by {self.cancelled}." if self.cancelled else "A step that it needs failed."
        for position, node in enumerate(self.state.nodes):
            if position not in self.state.steps:
                not_taken = not self.cancelled and self._hangs(position, node)
                step = self._records.step(position, node, "skipped", error=NOT_TAKEN if not_taken else error)
                self.state.steps[position] = step
                self._journal.add(Entry(step))
                self._tell(step)

    def _hangs(self, position: int, node: Node) -> bool:
        """Whether a node could not run only because a branch was not taken."""
        missing = self.state.missing(position, node)
        return bool(missing) and all(
            one in self.state.steps and self.state.steps[one].error == NOT_TAKEN for one in missing
        )

    def _tell(self, step: StepRun) -> None:
        calls = self.state.beside(step.position)
        total = len(self.state.nodes)
        self._progress(Progress(step.label, step.status, step.seconds, step.position, total, calls=calls))

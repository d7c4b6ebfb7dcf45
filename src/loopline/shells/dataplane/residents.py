"""Which models are in memory: loaded when they are asked for, let go when nobody asks, by age of use under a budget."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.kit.durable import write_file

if TYPE_CHECKING:
    from loopline.shells.dataplane.application import Application
    from loopline.shells.dataplane.revision import Revision

LOADED = Path("run") / "loaded.json"
MEASURE_S = 5.0
SHARE = 0.5  # of the machine's memory, where nothing else is said
EAGER = 16
GROWN = 1.2  # a process that was too large from its start is not replaced again and again


class Residents:
    """The revisions that have processes. `budget` is in bytes, measured as proportional set size (PSS): what processes
    share counts once."""

    def __init__(self, app: Application, budget: int) -> None:
        self.budget = budget or round(SHARE * machine_memory())
        self.used = 0
        self.remembering = False  # once nobody else does
        self._app = app
        self._measured_at = 0.0
        self._measuring = False
        self._written: list[str] | None = None

    def loaded(self, revision: Revision) -> None:
        """A process has its model: measure soon."""
        self._measured_at = min(self._measured_at, self._app.loop.time() - MEASURE_S + 1.0)

    def tick(self, now: float) -> None:
        """Once a second: unload what is idle for long, measure, keep within the budget, remember what is loaded."""
        for revision in list(self._app.awake):
            idle_s = revision.options.idle_s
            if idle_s and revision.up() and now - revision.used > idle_s and self._may_sleep(revision):
                revision.sleep()
        if now - self._measured_at >= MEASURE_S and not self._measuring:
            self._measured_at = now
            self._measure()
        if self.remembering:
            self._remember()

    def _remember(self) -> None:
        """Keep the names of loaded endpoints for the next start, where they differ from what is kept."""
        names = sorted({each.endpoint for each in self._app.awake if self._app.is_live(each)})
        if names != self._written:
            self._written = names
            self._app.intake.submit(_kept, self._app.home / LOADED, names)

    def _measure(self) -> None:
        pids = [worker.pid for revision in self._app.awake for worker in revision.workers if worker.ready]
        if pids:
            self._measuring = True
            done = self._app.loop.run_in_executor(self._app.intake, _sizes, pids)
            done.add_done_callback(self._measured)
        else:
            self.used = 0

    def _measured(self, done: Any) -> None:
        self._measuring = False
        if done.cancelled() or done.exception() is not None or self._app.ended:
            return
        sizes: dict[int, int] = done.result()
        for revision in list(self._app.awake):
            for worker in list(revision.workers):
                if worker.pid in sizes:
                    worker.memory = sizes[worker.pid]
                    worker.memory_first = worker.memory_first or worker.memory
                    self._bound(revision, worker)
        self.used = sum(sizes.values())
        self._make_room()

    def _bound(self, revision: Revision, worker: Any) -> None:
        bound = revision.options.memory_mb * 1_000_000
        if bound and worker.memory > bound and worker.memory > GROWN * worker.memory_first:
            revision.replace(worker)

    def _make_room(self) -> None:
        """Unload those that were used longest ago until the rest fits."""
        candidates = [each for each in self._app.awake if each.up() and self._may_sleep(each)]
        for revision in sorted(candidates, key=lambda each: each.used):
            if self.used <= self.budget:
                return
            self.used -= sum(worker.memory for worker in revision.workers)
            self._app.metrics.add("models_evicted")
            revision.sleep()

    def _may_sleep(self, revision: Revision) -> bool:
        served = self._app.endpoints.get(revision.endpoint)
        return revision.idle() and served is not None and served.starting is not revision


def wanted_at_start(home: Path, names: list[str]) -> set[str]:
    """The endpoints to load at once: those that were loaded when the last data plane ran; without its list all of them
    where they are few, else none."""
    try:
        kept = set(json.loads((home / LOADED).read_bytes()))
    except (OSError, ValueError):
        return set(names) if len(names) <= EAGER else set()
    return kept & set(names)


def machine_memory() -> int:
    """Bytes of this machine, or of the container that holds us."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(found)


def _sizes(pids: list[int]) -> dict[int, int]:
    return dict(_measured(pids))


def _measured(pids: list[int]) -> Iterator[tuple[int, int]]:
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                line = next(line for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
        yield pid, int(line.split()[1]) * 1024


def _kept(path: Path, names: list[str]) -> None:
    try:
        write_file(path, json.dumps(names).encode(), 0o600)
    except OSError:
        return  # it only makes the next start quicker

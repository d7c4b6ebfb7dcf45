"""What was run, and why: the verbs of pipelines that only read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.core.times import from_text
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.pipelines import explaining, graphs, store
from loopline.usecases.pipelines.model import (
    CacheStats,
    Code,
    Graph,
    PipelineRun,
    Plan,
    Why,
)
from loopline.usecases.pipelines.needs import Tracking

if TYPE_CHECKING:
    from loopline.usecases.pipelines.comparing import Comparison
    from loopline.usecases.pipelines.overview import Overview


class Looking:
    """Runs as they stand, their graphs, logs, code and reasons. Whoever inherits gives it the engines."""

    _database: Database
    _blobs: Blobs
    _clock: Clock
    _home: Path
    _tracking: Tracking

    def graph(self, run_id: str) -> Graph:
        """A run as a graph: which step needs which, how each stands, and when it ran."""
        run = self.get(run_id)
        plan = self._database.read(lambda tx: store.plan_of(tx, run.run_id))
        return graphs.graph(run, plan, self._clock.now())

    def overview(self, run_id: str, most: int = 50) -> Overview:
        """A run as it stands, counted: what its page shows afresh every second. Of each map or search at most `most`
        calls are told one by one."""
        from loopline.usecases.pipelines import overview

        if not 0 <= most <= 10_000:
            raise Invalid(f"{str(most)[:40]} calls cannot be told.", "Ask for 0 to 10000.")
        whole = self._tracking.resolved(run_id)
        sources = overview.Sources(self._home / "work" / "runs", self._blobs.get)

        def read(tx: Transaction) -> tuple[PipelineRun | None, Plan | None]:
            return overview.bare(tx, whole), store.plan_of(tx, whole)

        run, plan = self._database.read(read)
        if run is None:
            raise NotFound(f"The run {run_id[:40]!r} is no pipeline run.", "`loopline runs` shows the kind of each.")
        run, now = self._as_it_stands(run), self._clock.now()
        return self._database.read(lambda tx: overview.overview(tx, run, plan, now, most, sources))

    def why(self, run_id: str, step: str) -> Why:
        """Why a step of a run was a hit, or what differed so that it ran."""
        run = self.get(run_id)
        tags = self._tracking.get(run.run_id).tags
        return self._database.read(lambda tx: explaining.why(tx, run, step, tags, self._blobs.get))

    def diff(self, a: str, b: str) -> Comparison:
        """Two pipeline runs wholly compared; NotFound when there is no such run."""
        from loopline.usecases.pipelines import comparing

        runs = self.get(a), self.get(b)
        tracked = [self._tracking.get(run.run_id) for run in runs]
        first, second = (
            self._database.read(lambda tx, one=one, of=of: comparing.side(tx, one, of))  # type: ignore[misc]
            for one, of in zip(runs, tracked, strict=True)
        )
        return comparing.compare(first, second, self._blobs.get)

    def codes(self, run_id: str) -> dict[str, Code]:
        """The closure of each step's code in a run, by the step's label."""
        steps = self.get(run_id).steps
        parts = self._database.read(lambda tx: {step.label: store.key_parts(tx, step.key) for step in steps})
        return {label: found[0] for label, found in parts.items() if found is not None}

    def get(self, run_id: str) -> PipelineRun:
        """A pipeline run by its id or the beginning of it, or as `last`, `last~1`, …; NotFound when there is none."""
        whole = self._newest(run_id) if run_id.startswith("last") else self._tracking.resolved(run_id)
        found = self._database.read(lambda tx: store.run(tx, whole))
        if found is None:
            raise NotFound(f"The run {run_id[:40]!r} is no pipeline run.", "`loopline runs` shows the kind of each.")
        return self._as_it_stands(found)

    def _newest(self, text: str) -> str:
        number = re.fullmatch(r"last(?:~(\d{1,3}))?", text)
        if number is None:
            raise Invalid(f"{text[:40]!r} is no run.", "Write last, last~1 or the beginning of an id.")
        found = self._database.read(lambda tx: store.newest(tx, int(number[1] or 0)))
        if not found:
            raise NotFound(f"There is no run {text!r}: so many pipelines were not run.", "`loopline runs` lists them.")
        return found

    def runs(self, limit: int = 100) -> list[PipelineRun]:
        """The newest pipeline runs, newest first, with their steps counted."""
        if not 1 <= limit <= 10_000:
            raise Invalid(f"{str(limit)[:40]} runs cannot be listed.", "Ask for 1 to 10000.")
        found = self._database.read(lambda tx: store.runs(tx, limit))
        return [self._as_it_stands(run) if run.status == "running" or "running" in run.counts else run for run in found]

    def code(self, run_id: str, step: str) -> Code:
        """What a step's code was in a run: its pieces, the distributions it imports, Python's minor version."""
        found = explaining.step_of(self.get(run_id), step)
        parts = self._database.read(lambda tx: store.key_parts(tx, found.key))
        if parts is None:
            raise NotFound(f"{step} of run {run_id[:8]} did not get as far as a key.", "`loopline why` says why.")
        return parts[0]

    def source(self, run_id: str, file: str) -> str:
        """A project's file as it was when a run's steps were found in it; NotFound for one that no step needs."""
        run = self.get(run_id)
        plan = self._database.read(lambda tx: store.plan_of(tx, run.run_id))
        if plan is None or file not in plan.files:
            there = ", ".join(sorted(plan.files)) if plan else "none"
            raise NotFound(f"{file!r} is not part of the code of run {run.run_id[:8]}.", f"Files: {there}.")
        return self._blobs.get(plan.files[file]).decode(errors="replace")

    def log(self, run_id: str, step: str) -> str:
        """What a step of a run printed and logged; of a hit, what it printed when it ran."""
        run = self.get(run_id)
        found = explaining.step_of(run, step)
        if found.status == "running":
            live = self._home / "work" / "runs" / run.run_id / f"{found.position}.log"
            return live.read_text(encoding="utf-8", errors="replace") if live.is_file() else ""
        if found.status == "hit" and found.made_by != run.run_id:
            made = self._database.read(lambda tx: store.steps(tx, found.made_by))
            found = next((one for one in made if one.key == found.key), found)
        return self._blobs.get(found.log).decode(errors="replace") if found.log else ""

    def cache_stats(self) -> CacheStats:
        """How much is kept, how often it was taken, how many seconds that saved."""
        return self._database.read(store.stats)

    def _as_it_stands(self, run: PipelineRun) -> PipelineRun:
        now = self._tracking.get(run.run_id)
        run = msgspec.structs.replace(run, status=now.status, error=now.error)
        return run if now.status == "running" else ended(run, now.ended_at)


def ended(run: PipelineRun, at: str | None) -> PipelineRun:
    """A run that does not go on: steps whose process died in the middle count as cancelled, its seconds as those to its
    end where nobody was left to write them down."""
    counts = dict(run.counts)
    if gone := counts.pop("running", 0):
        counts["cancelled"] = counts.get("cancelled", 0) + gone
    steps = [
        msgspec.structs.replace(step, status="cancelled", error=run.error) if step.status == "running" else step
        for step in run.steps
    ]
    seconds = run.seconds
    if seconds is None and at:
        seconds = max(0.0, (from_text(at) - from_text(run.started_at)).total_seconds())
    return msgspec.structs.replace(run, counts=counts, steps=tuple(steps), seconds=seconds)

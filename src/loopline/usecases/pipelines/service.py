"""The verbs of pipelines."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import KINDS, Invalid, NotFound
from loopline.core.ids import checked_name, new_id
from loopline.core.tables import Signature
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.ports.executor import Call, Executor
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines import explaining, files, snapshots, store
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.keys import current, datasets_of
from loopline.usecases.pipelines.model import (
    FORMAT,
    CacheStats,
    Code,
    Import,
    Leaf,
    PipelineRun,
    Plan,
    Progress,
    StepRun,
    Tree,
    Why,
)
from loopline.usecases.pipelines.needs import Datasets, Registry, Tracking
from loopline.usecases.pipelines.outcomes import Started, maker_of, metrics_of, outputs_of
from loopline.usecases.pipelines.running import Ground, Running
from loopline.usecases.pipelines.work import Trace

TRACE = "loopline.usecases.pipelines.work:trace"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PLANS_KEPT = 64


class Pipelines:
    """Pipelines of project folders: run them, ask why, look at the cache."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        clock: Clock,
        home: Path,
        tracking: Tracking,
        datasets: Datasets,
        registry: Registry,
        runtimes: Mapping[str, Runtime],
        executors: Mapping[str, Callable[[], Executor]],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._home = home
        self._tracking = tracking
        self._datasets = datasets
        self._registry = registry
        self._runtimes = {name: f"{type(one).__module__}:{type(one).__qualname__}" for name, one in runtimes.items()}
        self._executors = executors
        self._warm: dict[str, Executor] = {}
        self._plans: dict[str, Plan] = {}
        self._lock = threading.Lock()

    def run(
        self,
        project_folder: str | Path,
        pipeline_name: str,
        params: Mapping[str, Any] | None = None,
        *,
        actor: str,
        progress: Callable[[Progress], None] | None = None,
        file: str = "pipeline.py",
        project: str = "",
        registers: str = "",
        executor: str = "processes",
        tags: Mapping[str, str] | None = None,
    ) -> PipelineRun:
        """Run a pipeline of a project: what is known is taken, what is not runs in worker processes.

        `registers` is the model's name where neither the model nor the pipeline says one (default: the project's
        name, which is by default the folder's). A step that fails makes the run `failed`, and what does not need it
        still runs. Raises Invalid or NotFound for a wrong pipeline, parameter, dataset or project.
        """
        began = time.perf_counter()
        folder = Path(project_folder).resolve()
        project = checked_name("project", project or folder.name)
        self._lost()
        stamp = files.stamp_of(folder)
        plan_key, plan = self._plan(folder, file, stamp, pipeline_name, dict(params or {}), executor)
        newest = {name: self._datasets.latest(name).digest for name in sorted(datasets_of(plan))}
        known = self._database.read(lambda tx: store.results_of_last(tx, plan_key))
        started = Started(
            new_id(), project, folder, stamp, plan_key, plan, newest, actor, registers, began, dict(tags or {})
        )
        return self._go(started, known, progress or silent, executor)

    def why(self, run_id: str, step: str) -> Why:
        """Why a step of a run was a hit, or what differed so that it ran."""
        run = self.get(run_id)
        return self._database.read(lambda tx: explaining.why(tx, run, step))

    def codes(self, run_id: str) -> dict[str, Code]:
        """The closure of each step's code in a run, by the step's label."""
        steps = self.get(run_id).steps
        parts = self._database.read(lambda tx: {step.label: store.key_parts(tx, step.key) for step in steps})
        return {label: found[0] for label, found in parts.items() if found is not None}

    def get(self, run_id: str) -> PipelineRun:
        """A pipeline run by its id or the beginning of it; NotFound when there is none."""
        whole = self._tracking.resolved(run_id)
        found = self._database.read(lambda tx: store.run(tx, whole))
        if found is None:
            raise NotFound(f"The run {run_id[:40]!r} is no pipeline run.", "`loopline runs` shows the kind of each.")
        return self._as_it_stands(found)

    def runs(self, limit: int = 100) -> list[PipelineRun]:
        """The newest pipeline runs, newest first, with their steps counted."""
        if not 1 <= limit <= 10_000:
            raise Invalid(f"{str(limit)[:40]} runs cannot be listed.", "Ask for 1 to 10000.")
        found = self._database.read(lambda tx: store.runs(tx, limit))
        return [self._as_it_stands(run) if run.status == "running" else run for run in found]

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
        if found.status == "hit" and found.made_by != run.run_id:
            made = self._database.read(lambda tx: store.steps(tx, found.made_by))
            found = next((one for one in made if one.key == found.key), found)
        return self._blobs.get(found.log).decode(errors="replace") if found.log else ""

    def cache_stats(self) -> CacheStats:
        """How much is kept, how often it was taken, how many seconds that saved."""
        return self._database.read(store.stats)

    def cache_import(self, other_blobs: Blobs, other: Database) -> Import:
        """Take over results of another installation whose bytes still match their digests."""
        from loopline.usecases.pipelines.importing import imported

        return imported(self._database, self._blobs, other, other_blobs)

    def close(self) -> None:
        """End the worker processes."""
        with self._lock:
            for executor in self._warm.values():
                executor.close()
            self._warm.clear()

    def _as_it_stands(self, run: PipelineRun) -> PipelineRun:
        now = self._tracking.get(run.run_id)
        return msgspec.structs.replace(run, status=now.status, error=now.error)

    def _go(
        self, started: Started, known: Mapping[str, Row], progress: Callable[[Progress], None], executor: str
    ) -> PipelineRun:
        running = Running(
            self._ground(executor),
            started.run_id,
            started.plan,
            str(started.folder),
            started.stamp,
            started.snapshots,
            known,
            progress,
            lambda: self._begin_now(started),
        )
        started.process, started.around = self._tracking.here(started.folder, started.stamp)
        started.at = self._clock.text()
        running.hits()
        try:
            running.go()
            return self._finish(started, running)
        except BaseException as error:
            self._abandon(started, error)
            raise

    def _begin_now(self, started: Started) -> None:
        self._database.write(lambda tx: self._begin(tx, started))
        started.begun = True

    def _begin(self, tx: Transaction, started: Started) -> None:
        self._tracking.start_in(
            tx,
            started.run_id,
            started.plan.pipeline,
            started.project,
            "pipeline",
            started.actor,
            params=started.plan.params,
            tags={"project": started.project, "source": started.stamp, **started.tags},
            surroundings=started.around,
            process=started.process,
            started_at=started.at,
        )
        row = {
            "run_id": started.run_id,
            "pipeline": started.plan.pipeline,
            "project": started.project,
            "folder": str(started.folder),
            "plan": started.plan_key,
            "source": started.stamp,
            "started_at": started.at,
        }
        store.add_run(tx, row)

    def _finish(self, started: Started, running: Running) -> PipelineRun:
        steps = tuple(running.steps[position] for position in sorted(running.steps))
        failed = next((step for step in steps if step.status == "failed"), None)
        result = None if failed or started.plan.result is None else running.resolve(started.plan.result)
        model = self._registered(started, running, result) if result is not None else None
        error = f"The step {failed.label} failed: {failed.error}" if failed else ""
        outputs = outputs_of(result)
        links = [("input", name, found, "dataset") for name, found in started.snapshots.items()]
        links += [("output", *one) for one in outputs] + ([("output", *model[2])] if model else [])
        status, metrics = "failed" if failed else "finished", metrics_of(running)
        seconds = time.perf_counter() - started.began

        def work(tx: Transaction) -> None:
            if not started.begun:
                self._begin(tx, started)
            store.add_steps(tx, started.run_id, running.unkept())
            store.end_run(
                tx, started.run_id, seconds, [one[1] for one in outputs], *(model[:2] if model else (None, None))
            )
            self._tracking.note_in(tx, started.run_id, metrics, links)
            self._tracking.finish_in(tx, started.run_id, status, started.actor, error=error)

        self._database.write(work)
        return PipelineRun(
            run_id=started.run_id,
            pipeline=started.plan.pipeline,
            project=started.project,
            status=status,
            started_at=started.at,
            seconds=seconds,
            steps=steps,
            outputs=tuple(one[1] for one in outputs),
            model=model[0] if model else None,
            version=model[1] if model else None,
            source=started.stamp,
            error=error,
        )

    def _registered(
        self, started: Started, running: Running, result: Tree
    ) -> tuple[str, int, tuple[str, str, str]] | None:
        """Register the model that the pipeline returned, under the run that made it; the same again is the same version."""
        if not isinstance(result, Leaf) or result.kind != "model" or result.content is None:
            return None
        about = msgspec.json.decode(result.content)
        name = about["name"] or started.plan.registers or started.registers or started.project
        maker = maker_of(running, result)
        metadata = {
            **about["metadata"],
            "code": started.stamp,
            "snapshots": started.snapshots,
            "pipeline": started.plan.pipeline,
        }
        version = self._registry.register(
            name,
            about["manifest"],
            self._answerable(maker, name, started.run_id),
            {key: value for key, value in about["metrics"].items() if value is not None},
            msgspec.convert(about["signature"], Signature),
            about["evaluation"],
            about["profile"],
            metadata,
            started.actor,
        )
        return version.model, version.version, (f"{version.model}/{version.version}", about["manifest"], "model")

    def _answerable(self, maker: str, model: str, run_id: str) -> str:
        """The run to register under: the one that made the model, if it lived to finish or had registered it."""
        if maker == run_id:
            return run_id
        try:
            made = self._tracking.get(maker)
        except NotFound:  # its result was imported from another installation
            return run_id
        registered = any(link.kind == "model" and link.direction == "output" for link in made.links)
        return maker if made.status == "finished" or registered else run_id

    def _abandon(self, started: Started, error: BaseException) -> None:
        if not started.begun:
            return
        status = "failed" if isinstance(error, Exception) else "killed"
        said = str(error) or type(error).__name__
        self._database.write(lambda tx: self._tracking.finish_in(tx, started.run_id, status, started.actor, error=said))

    def _plan(
        self, folder: Path, file: str, stamp: str, pipeline: str, params: dict[str, Any], executor: str
    ) -> tuple[str, Plan]:
        """The plan for these files and params: from memory, the database, or traced where user code may run."""
        given = json.dumps(params, sort_keys=True, default=refused)
        key = digest("plan", FORMAT, PYTHON, str(folder), file, stamp, pipeline, given)
        plan = self._plans.get(key) or self._database.read(lambda tx: store.plan(tx, key))
        if plan is None or not current(plan):
            plan = self._traced(Trace(str(folder), file, stamp, pipeline, params), executor)
            kept = plan
            self._database.write(lambda tx: store.put_plan(tx, key, kept, self._clock.text()))
        while len(self._plans) >= _PLANS_KEPT:
            del self._plans[next(iter(self._plans))]
        self._plans[key] = plan
        return key, plan

    def _traced(self, trace: Trace, executor: str) -> Plan:
        call = Call(target=TRACE, payload=msgspec.msgpack.encode(trace), label=f"the pipeline {trace.pipeline}")
        outcome = self._executor(executor).submit(call).result()
        if outcome.error:
            raise KINDS.get(outcome.kind, Invalid)(
                outcome.error if outcome.kind else f"The pipeline {trace.pipeline!r} fails: {outcome.error}.",
                outcome.hint or last_line(outcome.trace),
            )
        plan = msgspec.msgpack.decode(outcome.answer, type=Plan)
        names = sorted({piece.file for code in plan.codes.values() for piece in code.pieces})
        inside = {name: path for name in names if (path := Path(trace.folder, name)).is_file()}
        return msgspec.structs.replace(plan, files={name: self._blobs.put_file(path) for name, path in inside.items()})

    def _ground(self, executor: str) -> Ground:
        work = self._home / "work"
        return Ground(
            self._database,
            self._blobs,
            self._clock,
            lambda: self._executor(executor),
            lambda found: snapshots.file_of(self._datasets, work / "snapshots", found),
            self._runtimes,
            work / "runs",
        )

    def _executor(self, name: str) -> Executor:
        with self._lock:
            if name not in self._warm:
                if name not in self._executors:
                    raise Invalid(
                        f"There is no executor {name!r}.", f"Use one of {', '.join(sorted(self._executors))}."
                    )
                self._warm[name] = self._executors[name]()
            return self._warm[name]

    def _lost(self) -> None:
        """Mark runs whose process died, and take away what they left in the scratch folder, whoever marked them."""
        self._tracking.sweep()
        scratch = self._home / "work" / "runs"
        for folder in scratch.iterdir() if scratch.is_dir() else ():
            if not self._runs(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def _runs(self, run_id: str) -> bool:
        try:
            return bool(self._tracking.get(run_id).status == "running")
        except (Invalid, NotFound):  # nobody's
            return False


def silent(_: Progress) -> None:
    """Tell nobody."""


def refused(value: Any) -> Any:
    """JSON's way out for a parameter that is no JSON."""
    raise Invalid(f"A pipeline's parameter cannot be {value!r}.", "Give numbers, texts, lists and maps.")


def last_line(trace: str) -> str:
    """Where in the user's code it happened."""
    places = [line.strip() for line in trace.splitlines() if line.strip().startswith("File ")]
    return f"See {places[-1]}." if places else ""


__all__ = ["Pipelines", "PipelineRun", "Progress", "StepRun"]

"""The verbs of pipelines."""

from __future__ import annotations

import copy
import functools
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import KINDS, Conflict, Invalid, NotFound
from loopline.core.ids import checked_name, new_id
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database
from loopline.ports.executor import Call, Executor
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines import explaining, files, snapshots, store
from loopline.usecases.pipelines.asking import (
    as_text,
    basis_of,
    forced_in,
    last_line,
    locks_of,
    marks_of,
    refuse_secrets,
)
from loopline.usecases.pipelines.ground import Ground, Terms
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.keys import current, datasets_of
from loopline.usecases.pipelines.launching import Launch, Started
from loopline.usecases.pipelines.looking import Looking
from loopline.usecases.pipelines.model import (
    FORMAT,
    Import,
    PipelineRun,
    Plan,
    Progress,
)
from loopline.usecases.pipelines.needs import Datasets, Environments, Registry, Tracking
from loopline.usecases.pipelines.work import Trace

if TYPE_CHECKING:
    from loopline.usecases.pipelines.verifying import Installation, Verification

TRACE = "loopline.usecases.pipelines.work:trace"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PLANS = "2"  # raised when plans say more
_PLANS_KEPT = 64


class Pipelines(Looking):
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
        environments: Environments,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._home = home
        self._tracking = tracking
        self._datasets = datasets
        self._launch = Launch(database, clock, tracking, registry)
        self._runtimes = {name: f"{type(one).__module__}:{type(one).__qualname__}" for name, one in runtimes.items()}
        self._executors = executors
        self._environments = environments
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
        python: str = "",
        release: str = "",
        environment: str = "",
        bindings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        force: Iterable[str] = (),
        since: str = "",
        seed: int = 0,
    ) -> PipelineRun:
        """Run a pipeline of a project: what is known is taken, what is not runs in worker processes.

        `registers` is the model's name where neither the model nor the pipeline says one (default: the project's
        name, which is by default the folder's). `python` is the interpreter of the steps, `bindings` the datasets to read
        for those that the pipeline names, `variables` secrets for the steps' environment, which are neither kept nor
        part of a key. Steps whose labels stand in `force` run anew (all of them for "*"), as do the step `since` and all
        that need it; `seed` starts random numbers. A step that fails makes the run `failed`, and what does not need it
        still runs. Raises Invalid or NotFound for a wrong pipeline, parameter, dataset, label or project.
        """
        began = time.perf_counter()
        folder = Path(project_folder).resolve()
        project = checked_name("project", project or folder.name)
        self._lost()
        stamp = files.stamp_of(folder)
        given = dict(params or {})
        refuse_secrets(given, variables or {})
        plan_key, plan = self._plan(folder, file, stamp, pipeline_name, given, executor, python)
        forced = forced_in(plan, force, since)
        terms = self._terms(plan, folder, bindings or {}, forced, seed, python, variables or {})
        started = Started(
            run_id=new_id(),
            project=project,
            folder=folder,
            file=file,
            stamp=stamp,
            plan_key=plan_key,
            plan=plan,
            terms=terms,
            actor=actor,
            registers=registers,
            executor=executor,
            given=given,
            tags={**(tags or {}), **explaining.forced_tag(plan, forced), **({"seed": str(seed)} if seed else {})},
            release=release,
            environment=environment,
            basis=basis_of(plan_key, plan, terms),
            began=began,
        )
        return self._launch.go(started, self._ground(executor), progress or silent)

    def plan(
        self,
        project_folder: str | Path,
        pipeline_name: str,
        params: Mapping[str, Any] | None = None,
        *,
        file: str = "pipeline.py",
        executor: str = "processes",
        python: str = "",
    ) -> Plan:
        """What a pipeline would do with these parameters: traced, not run. Raises Invalid or NotFound as `run` does."""
        folder = Path(project_folder).resolve()
        stamp = files.stamp_of(folder)
        return self._plan(folder, file, stamp, pipeline_name, dict(params or {}), executor, python)[1]

    def again(
        self,
        run_id: str,
        *,
        actor: str,
        progress: Callable[[Progress], None] | None = None,
        since: str = "",
        declared: Callable[[str, str, str], Mapping[str, Any]] | None = None,
    ) -> PipelineRun:
        """Run what a run ran, with its parameters and seed, on the project's files as they are now; what it finished is
        not run again. `since` names a step that shall run anew, with all that needs it; `declared` answers the bindings
        and variables of a folder's pipeline in an environment. Runs of a release are Conflict."""
        run = self.get(run_id)
        asked = self._database.read(lambda tx: store.asked(tx, run.run_id))
        if asked is None or asked["release"]:
            raise Conflict(f"The run {run.run_id[:8]} ran a release.", "Run it again with `loopline run RELEASE`.")
        if run.environment and declared is None:
            raise Conflict(
                f"The run {run.run_id[:8]} had the data and secrets of {run.environment}.",
                f"Run it again with `loopline rerun {run.run_id[:8]}`.",
            )
        known = declared(asked["folder"], run.pipeline, run.environment) if declared and run.environment else {}
        around = {name: known[name] for name in ("environment", "bindings", "variables") if name in known}
        return self.run(
            asked["folder"],
            run.pipeline,
            msgspec.json.decode(asked["params"] or "{}"),
            actor=actor,
            progress=progress,
            file=asked["file"] or "pipeline.py",
            project=run.project,
            registers=asked["registers"],
            executor=asked["executor"] or "processes",
            tags={"again": run.run_id},
            since=since,
            seed=int(self._tracking.get(run.run_id).tags.get("seed", 0)),
            **around,
        )

    def cancel(self, run_id: str, actor: str) -> PipelineRun:
        """Ask that a running pipeline be ended: its steps are stopped within a second, those that finished are kept.

        Conflict when it has ended already.
        """
        run = self.get(run_id)
        if run.status != "running":
            raise Conflict(f"The run {run.run_id[:8]} ended already: {run.status}.", "There is nothing to cancel.")
        self._database.write(lambda tx: store.cancel(tx, run.run_id, actor))
        return run

    def verify(self, beside: Installation, project_folder: str | Path, pipeline_name: str, **how: Any) -> Verification:
        """Run a pipeline twice without the cache and say which steps do not give the same again.

        `beside` is an installation of its own, for runs, results and models that are thrown away; datasets are this
        one's. `how` is what `run` takes. Raises what `run` raises.
        """
        from loopline.usecases.pipelines.verifying import verified

        other = copy.copy(self)
        other._database, other._blobs = beside.get("database"), beside.get("blobs")
        other._tracking, other._home, other._plans = beside.get("tracking"), beside.get("home"), {}
        other._launch = Launch(other._database, self._clock, other._tracking, beside.get("registry"))
        run = functools.partial(other.run, project_folder, pipeline_name, **how)
        return verified(lambda force: run(force=force), other._database, other._blobs)

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

    def _terms(
        self,
        plan: Plan,
        folder: Path,
        bindings: Mapping[str, str],
        force: frozenset[str],
        seed: int,
        python: str,
        variables: Mapping[str, str],
    ) -> Terms:
        newest = {name: self._datasets.latest(bindings.get(name, name)).digest for name in sorted(datasets_of(plan))}
        outside = {one for node in plan.nodes for one in node.options.externals}
        return Terms(
            snapshots=newest,
            externals=marks_of(outside, folder),
            force=force,
            seed=seed,
            python=python,
            locks=locks_of(plan, folder),
            variables=dict(variables),
        )

    def _plan(
        self, folder: Path, file: str, stamp: str, pipeline: str, params: dict[str, Any], executor: str, python: str
    ) -> tuple[str, Plan]:
        """The plan for these files and params: from memory, the database, or traced where user code may run."""
        given = as_text(params)
        key = digest("plan", FORMAT, PLANS, python or PYTHON, str(folder), file, stamp, pipeline, given)
        plan = self._plans.get(key) or self._database.read(lambda tx: store.plan(tx, key))
        if plan is None or not (python or current(plan)):
            plan = self._traced(Trace(str(folder), file, stamp, pipeline, params), executor, python)
            kept = plan
            self._database.write(lambda tx: store.put_plan(tx, key, kept, self._clock.text()))
        while len(self._plans) >= _PLANS_KEPT:
            del self._plans[next(iter(self._plans))]
        self._plans[key] = plan
        return key, plan

    def _traced(self, trace: Trace, executor: str, python: str) -> Plan:
        label = f"the pipeline {trace.pipeline}"
        call = Call(target=TRACE, payload=msgspec.msgpack.encode(trace), label=label, python=python)
        local = executor if executor == "inline" else "processes"  # tracing reads the project's folder
        outcome = self._executor(local).submit(call).result()
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
            self._environments.python_for,
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
            if folder.is_dir() and not self._runs(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def _runs(self, run_id: str) -> bool:
        try:
            return bool(self._tracking.get(run_id).status == "running")
        except (Invalid, NotFound):  # nobody's
            return False


def silent(_: Progress) -> None:
    """Tell nobody."""

"""The verbs of pipelines."""

from __future__ import annotations

import copy
import functools
import json
import re
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
from loopline.core.times import from_text
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.ports.executor import Call, Executor
from loopline.ports.runtime import Runtime
from loopline.usecases.pipelines import explaining, files, graphs, snapshots, store
from loopline.usecases.pipelines.ground import Ground, Terms
from loopline.usecases.pipelines.hashing import digest
from loopline.usecases.pipelines.keys import current, datasets_of
from loopline.usecases.pipelines.launching import Launch, Started
from loopline.usecases.pipelines.model import (
    FORMAT,
    CacheStats,
    Code,
    External,
    Graph,
    Import,
    PipelineRun,
    Plan,
    Progress,
    StepRun,
    Why,
)
from loopline.usecases.pipelines.needs import Datasets, Environments, Registry, Tracking
from loopline.usecases.pipelines.work import Trace

if TYPE_CHECKING:
    from loopline.usecases.pipelines.comparing import Comparison
    from loopline.usecases.pipelines.overview import Overview
    from loopline.usecases.pipelines.verifying import Installation, Verification

TRACE = "loopline.usecases.pipelines.work:trace"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SHORTEST_SECRET = 6
PLANS = "2"  # raised when plans say more
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
        run = msgspec.structs.replace(run, status=now.status, error=now.error)
        return run if now.status == "running" else ended(run, now.ended_at)

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


def basis_of(plan_key: str, plan: Plan, terms: Terms) -> str:
    """A digest of all that a run's results hang on; empty when some step must run or grows old whatever is known."""
    options = [node.options for node in plan.nodes]
    if terms.force or any(not one.cached or one.max_age for one in options):
        return ""
    snapshots = [part for pair in sorted(terms.snapshots.items()) for part in pair]
    outside = sorted(repr(one) + mark for one, mark in terms.externals.items())
    outside += [part for name, text in sorted(terms.locks.items()) for part in (name, digest(text))]
    return digest("basis", plan_key, str(terms.seed), *sorted(plan.codes), "", *snapshots, "", *outside)


def forced_in(plan: Plan, force: Iterable[str], since: str) -> frozenset[str]:
    """Labels of the steps that shall run anew: those named, and with `since` also all that need it. NotFound names one
    that is not there."""
    labels = [node.label for node in plan.nodes]
    forced = set(labels) if "*" in force else {*force, *([since] if since else [])}
    for label in sorted(forced - set(labels)):
        raise NotFound(f"The pipeline {plan.pipeline!r} has no step {label!r}.", f"Steps: {', '.join(labels)}.")
    following = {since}
    for node in plan.nodes if since else ():
        if following & {plan.nodes[position].label for position in graphs.needed(node)}:
            following.add(node.label)
    return frozenset(forced | (following if since else set()))


def locks_of(plan: Plan, folder: Path) -> dict[str, bytes]:
    """The locks of the steps that have their own, by name; NotFound for one that is not there."""
    found: dict[str, bytes] = {}
    for node in plan.nodes:
        if node.options.lock and node.options.lock not in found:
            path = folder / node.options.lock
            if not path.is_file():
                raise NotFound(f"The step {node.step!r} asks for {node.options.lock}, which is not there.",
                               "Make it: `loopline lock` in a folder with its pyproject.toml.")  # fmt: skip
            found[node.options.lock] = path.read_bytes()
    return found


def marks_of(externals: Iterable[External], folder: Path) -> dict[External, str]:
    """What stands for the content of each external now."""
    found = sorted(externals, key=repr)
    if not found:
        return {}
    from loopline.usecases.pipelines.identity.externals import fingerprint

    return {one: fingerprint(one, folder) for one in found}


def refuse_secrets(params: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Invalid for a parameter that holds a secret: parameters are kept, and shown to whoever looks at the run."""
    for name, value in params.items():
        for secret, content in variables.items():
            if len(content) >= SHORTEST_SECRET and content in str(value):
                raise Invalid(
                    f"The parameter {name!r} holds the secret {secret}, and parameters are kept with the run.",
                    f"Leave it out; a step reads it as os.environ[{secret!r}].",
                )


def silent(_: Progress) -> None:
    """Tell nobody."""


def as_text(params: Mapping[str, Any]) -> str:
    """Parameters as one text. Invalid for what could not be handed to the pipeline or read again."""
    try:
        given = json.dumps(params, sort_keys=True, default=refused)
        msgspec.msgpack.encode(params)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Invalid(
            f"The parameters cannot be written down: {error}.",
            "Give numbers within 64 bits, texts in UTF-8, lists, and maps whose keys are texts.",
        ) from None
    return given


def refused(value: Any) -> Any:
    """JSON's way out for a parameter that is no JSON."""
    raise Invalid(f"A pipeline's parameter cannot be {value!r}.", "Give numbers, texts, lists and maps.")


def last_line(trace: str) -> str:
    """Where in the user's code it happened."""
    places = [line.strip() for line in trace.splitlines() if line.strip().startswith("File ")]
    return f"See {places[-1]}." if places else ""


__all__ = ["Pipelines", "PipelineRun", "Progress", "StepRun"]

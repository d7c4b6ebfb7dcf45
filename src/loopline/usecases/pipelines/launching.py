"""From a plan to a finished run: its rows, its model version, its facts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.errors import LooplineError, NotFound
from loopline.core.ids import new_id
from loopline.core.tables import Signature
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.ground import Ground, Terms
from loopline.usecases.pipelines.model import Leaf, PipelineRun, Plan, Progress, Tree
from loopline.usecases.pipelines.needs import Registry, Tracking
from loopline.usecases.pipelines.outcomes import lock_of, maker_of, metrics_of, outputs_of
from loopline.usecases.pipelines.same import Same

if TYPE_CHECKING:
    from loopline.usecases.pipelines.running import Running


UNTAKEN = "The pipeline returns what hangs on a branch that was not taken."


class Started(msgspec.Struct, kw_only=True):
    """A run with everything that was known when it began. `basis` is a digest of all that its results hang on, empty
    when something counts that no digest tells; `given` are its parameters as they were given."""

    run_id: str
    project: str
    folder: Path
    file: str
    stamp: str
    plan_key: str
    plan: Plan
    terms: Terms
    actor: str
    registers: str
    executor: str
    given: dict[str, Any]
    tags: dict[str, str]
    release: str
    environment: str
    basis: str
    began: float
    at: str = ""
    process: str = ""
    around: dict[str, Any] = {}
    begun: bool = False


class Launch:
    """Carries runs out and writes down what came of them."""

    def __init__(self, database: Database, clock: Clock, tracking: Tracking, registry: Registry) -> None:
        self._database = database
        self._clock = clock
        self._tracking = tracking
        self._registry = registry

    def go(self, started: Started, ground: Ground, progress: Callable[[Progress], None]) -> PipelineRun:
        """Carry a run out; what is raised marks it as failed or killed first."""
        started.process, started.around = self._tracking.here(started.folder, started.stamp)
        started.at = self._clock.text()
        same = self._same(started, ground)
        if same is not None:
            for step in same.steps.values():
                progress(Progress(step.label, step.status, 0.0, step.position, len(same.steps)))
            return self._finish(started, same, same.metrics, ground.blobs)
        running = self._running(started, ground, progress)
        try:
            running.go()
            ground.blobs.settle()
            return self._finish(started, running, metrics_of(running), ground.blobs)
        except BaseException as error:
            self._abandon(started, error)
            raise

    def _same(self, started: Started, ground: Ground) -> Same | None:
        """An earlier run that everything can be taken from at once."""
        if not started.basis:
            return None
        found = self._database.read(lambda tx: store.same_basis(tx, started.basis))
        if found is None:
            return None
        run_id, results = found
        steps = self._database.read(lambda tx: store.taken_from(tx, run_id))
        metrics = self._tracking.get(run_id).metrics
        same = Same(run_id, started.plan, steps, self._result, started.terms.snapshots, metrics)
        return same if same.whole(ground.blobs, results) else None

    def _result(self, key: str) -> Row | None:
        return self._database.row(store.RESULT_OF, {"key": key})

    def _running(self, started: Started, ground: Ground, progress: Callable[[Progress], None]) -> Running:
        from loopline.usecases.pipelines.running import Running  # a run that is taken over whole needs none of it

        known = self._database.read(lambda tx: store.results_of_last(tx, started.plan_key))
        return Running(
            ground,
            started.run_id,
            started.plan,
            str(started.folder),
            started.stamp,
            started.terms,
            known,
            progress,
            lambda: self._begin_now(started),
        )

    def _begin_now(self, started: Started) -> None:
        self._database.write(lambda tx: self._begin(tx, started))
        started.begun = True

    def _begin(self, tx: Transaction, started: Started, same_as: str = "") -> None:
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
            "file": started.file,
            "registers": started.registers,
            "executor": started.executor,
            "params": msgspec.json.encode(started.given).decode(),
            "release": started.release,
            "environment": started.environment,
            "same_as": same_as,
            "basis": started.basis,
        }
        store.add_run(tx, row)

    def _finish(self, started: Started, done: Running | Same, metrics: Mapping[str, float], blobs: Any) -> PipelineRun:
        steps = tuple(done.steps[position] for position in sorted(done.steps))
        failed = next((step for step in steps if step.status == "failed" and not step.part_of), None)
        status, error = "finished", ""
        result: Tree | None = None
        if done.cancelled:
            status, error = "killed", f"Cancelled by {done.cancelled}."
        elif failed:
            status, error = "failed", f"The step {failed.label} failed: {failed.error}"
        elif started.plan.result is not None:
            try:
                result = done.resolve(started.plan.result)
            except LookupError as part:
                left_out = part.args[0] in done.steps
                status, error = "failed", UNTAKEN if left_out else f"The pipeline returns {part}, which no result has."
            except LooplineError as wrong:  # a branch that hangs on no truth
                status, error = "failed", wrong.message
        registers = started.plan.registers or started.registers
        if status == "finished" and registers and not is_model(result):
            status, error = "failed", f"The pipeline registers the model {registers!r}, but returned none."
        model = self._registered(started, done, result, blobs) if status == "finished" and is_model(result) else None
        outputs = outputs_of(result)
        links = [("input", name, found, "dataset") for name, found in started.terms.snapshots.items()]
        links += [("output", *one) for one in outputs] + ([("output", *model[2])] if model else [])
        seconds = time.perf_counter() - started.began

        def work(tx: Transaction) -> None:
            if not started.begun:
                self._begin(tx, started, done.run_id if isinstance(done, Same) else "")
            store.add_steps(tx, started.run_id, done.unkept())
            store.end_run(
                tx, started.run_id, seconds, [one[1] for one in outputs], *(model[:2] if model else (None, None))
            )
            self._trials(tx, started, done)
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
            release=started.release,
            environment=started.environment,
        )

    def _trials(self, tx: Transaction, started: Started, done: Running | Same) -> None:
        """Each trial that ran is a run of its own in tracking, beside its pipeline's."""
        for label, point, measure, step in done.trials:
            if step.status == "hit":
                continue
            run_id, name = new_id(), f"{label} {step.label.rpartition('[')[2].rstrip(']')}"
            self._tracking.start_in(
                tx,
                run_id,
                name,
                started.project,
                "trial",
                started.actor,
                params={key: value if isinstance(value, str) else repr(value) for key, value in point.items()},
                tags={"parent": started.run_id, "search": label, "step": step.label},
                surroundings=started.around,
                started_at=step.started_at,
            )
            if measure is not None:
                self._tracking.note_in(tx, run_id, {"value": measure}, [])
            status = "finished" if step.status == "ran" else "failed"
            self._tracking.finish_in(tx, run_id, status, started.actor, error=step.error)

    def _registered(
        self, started: Started, done: Running | Same, result: Tree | None, blobs: Any
    ) -> tuple[str, int, tuple[str, str, str]] | None:
        """Register the model that the pipeline returned, under the run that made it; the same again is the same version."""
        if not isinstance(result, Leaf) or result.content is None:
            return None
        about = msgspec.json.decode(result.content)
        name = about["name"] or started.plan.registers or started.registers or started.project
        metadata = {
            **about["metadata"],
            "code": started.stamp,
            "snapshots": dict(started.terms.snapshots),
            "pipeline": started.plan.pipeline,
        }
        if started.release:
            metadata["release"] = started.release
        lock = lock_of(done, result, started.plan)
        if lock:
            metadata["lock"] = blobs.put(started.terms.locks[lock])
            blobs.settle()
        version = self._registry.register(
            name,
            about["manifest"],
            self._answerable(maker_of(done, result), started.run_id),
            {key: value for key, value in about["metrics"].items() if value is not None},
            msgspec.convert(about["signature"], Signature),
            about["evaluation"],
            about["profile"],
            metadata,
            started.actor,
        )
        return version.model, version.version, (f"{version.model}/{version.version}", about["manifest"], "model")

    def _answerable(self, maker: str, run_id: str) -> str:
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


def is_model(result: Tree | None) -> bool:
    """Whether what a pipeline returned is one model."""
    return isinstance(result, Leaf) and result.kind == "model"

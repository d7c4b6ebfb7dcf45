"""Does a pipeline give the same again? Run it twice without the cache, and find the steps that do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from loopline.ports.blobs import Blobs
from loopline.ports.database import Database
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.locating import Place, first_difference
from loopline.usecases.pipelines.model import PipelineRun, StepRun, Tree

MOST_RUNS = 8
Run = Callable[[Sequence[str]], PipelineRun]


class Installation(Protocol):
    """Another installation, whose engines and parts are asked by name."""

    def get(self, name: str) -> Any: ...


class StepVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a step gave the same result from the same inputs; unknown when its inputs never were the same. `place` is
    where two results differ first, `hint` what to do."""

    step: str
    label: str
    verdict: Literal["same", "differs", "unknown"]
    place: str = ""
    hint: str = ""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What came of running a pipeline several times. `error` says why it could not be run to its end."""

    pipeline: str
    deterministic: bool
    runs: int
    steps: tuple[StepVerdict, ...] = ()
    error: str = ""


class Taken(msgspec.Struct, frozen=True):
    """A run with the values that its steps gave, by label."""

    run: PipelineRun
    values: dict[str, Tree]

    @property
    def steps(self) -> dict[str, StepRun]:
        """The step runs by label; of a map or search its calls."""
        whole = {step.part_of for step in self.run.steps}
        return {step.label: step for step in self.run.steps if step.label not in whole}


def verified(run: Run, database: Database, blobs: Blobs) -> Verification:
    """Run a pipeline until each step was seen twice with the same inputs, or that does not happen.

    `run` runs it with these steps anew ("*": all). A step behind one that is not deterministic gets other inputs the
    second time; then it alone runs once more, on what was kept of the second run.
    """
    before = taken(run(["*"]), database)
    verdicts: dict[str, StepVerdict] = {}
    runs = 1
    while not is_broken(before.run) and runs < MOST_RUNS:
        open_steps = [step for label, step in before.steps.items() if label not in verdicts]
        if not open_steps:
            break
        again = sorted({step.part_of or step.label for step in open_steps}) if runs > 1 else ["*"]
        after = taken(run(again), database)
        runs += 1
        if is_broken(after.run):
            return failed(after.run, runs)
        known = len(verdicts)
        verdicts |= compared(before, after, verdicts, blobs)
        before = after
        if runs > 2 and len(verdicts) == known:
            break
    if is_broken(before.run):
        return failed(before.run, runs)
    steps = tuple(verdicts.get(label, unknown(step)) for label, step in before.steps.items())
    return Verification(
        pipeline=before.run.pipeline,
        deterministic=all(one.verdict != "differs" for one in steps),
        runs=runs,
        steps=steps,
    )


def taken(run: PipelineRun, database: Database) -> Taken:
    """A run with its values, read before the next one replaces them."""
    rows = database.read(lambda tx: {step.label: store.result(tx, step.key) for step in run.steps if step.key})
    return Taken(run, {label: store.value(row) for label, row in rows.items() if row is not None})


def is_broken(run: PipelineRun) -> bool:
    """Whether a run did not get to its end."""
    return run.status != "finished"


def failed(run: PipelineRun, runs: int) -> Verification:
    """What is said of a pipeline that does not run."""
    error = f"Run {runs} of {run.pipeline} did not finish: {run.error}"
    return Verification(pipeline=run.pipeline, deterministic=False, runs=runs, error=error)


def compared(before: Taken, after: Taken, known: Mapping[str, StepVerdict], blobs: Blobs) -> dict[str, StepVerdict]:
    """Verdicts on the steps that had the same inputs in both runs."""
    found: dict[str, StepVerdict] = {}
    for label, step in after.steps.items():
        other = before.steps.get(label)
        if label in known or other is None:
            continue
        if step.status == "skipped" == other.status:
            found[label] = StepVerdict(step=step.step, label=label, verdict="same")
        elif step.key and step.key == other.key and (step.status == "ran" or step.made_by == after.run.run_id):
            place = None if step.output == other.output else placed(before, after, label, blobs)
            found[label] = judged(step, place)
    return found


def placed(before: Taken, after: Taken, label: str, blobs: Blobs) -> Place:
    """Where two results of a step differ first."""
    values = before.values.get(label), after.values.get(label)
    if values[0] is None or values[1] is None:
        return Place("the result")
    return first_difference(values[0], values[1], blobs)


def judged(step: StepRun, place: Place | None) -> StepVerdict:
    """The verdict on a step whose results differ there, or nowhere."""
    if place is None:
        return StepVerdict(step=step.step, label=step.label, verdict="same")
    return StepVerdict(step=step.step, label=step.label, verdict="differs", place=place.text, hint=place.hint)


def unknown(step: StepRun) -> StepVerdict:
    """A step whose inputs were never the same twice."""
    hint = "Mend the steps before it, or let them be cached, and verify again."
    return StepVerdict(
        step=step.step, label=step.label, verdict="unknown", place="its inputs differed each time", hint=hint
    )

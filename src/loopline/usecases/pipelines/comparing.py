"""Two runs wholly compared: parameters, code, data, environment, steps, metrics, model versions, release."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec

from loopline.core.errors import LooplineError
from loopline.ports.database import Transaction
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.explaining import of_pieces, of_texts
from loopline.usecases.pipelines.model import Argument, Code, Difference, PipelineRun, Plan, StepRun
from loopline.usecases.pipelines.patches import patched

Read = Callable[[str], bytes]


class StepChange(msgspec.Struct, frozen=True, kw_only=True):
    """A step in two runs: how it ended in each (empty: it is not in that run), how long it took, whether its result is
    the same (unknown where one has none) and whether its code is."""

    label: str
    was: str
    now: str
    seconds_was: float
    seconds_now: float
    output: Literal["same", "differs", "unknown"]
    code_changed: bool


class MetricChange(msgspec.Struct, frozen=True):
    """A metric in two runs; None where a run has none."""

    name: str
    was: float | str | None
    now: float | str | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from the run `a` to the run `b`. `same` says that nothing does but statuses and times: a hit is the
    same as the run that it was taken from. `steps` are all of both."""

    a: str
    b: str
    same: bool
    runs: tuple[Difference, ...]
    params: tuple[Difference, ...]
    code: tuple[Difference, ...]
    data: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    metrics: tuple[MetricChange, ...]
    versions: tuple[Difference, ...]
    release: tuple[Difference, ...]
    steps: tuple[StepChange, ...]


class Side(msgspec.Struct, frozen=True):
    """One of two runs: itself, the tracking run of the same id, its plan, and the externals of its steps."""

    run: PipelineRun
    tracked: Any
    plan: Plan | None
    externals: dict[str, Argument]


def side(tx: Transaction, run: PipelineRun, tracked: Any) -> Side:
    """All that is to be compared of a run."""
    plan = store.plan_of(tx, run.run_id)
    reading = {node.label for node in (plan.nodes if plan else ()) if node.options.externals}
    externals: dict[str, Argument] = {}
    for step in run.steps:
        parts = store.key_parts(tx, step.key) if {step.label, step.part_of} & reading else None
        externals |= {name: one for name, one in parts[1].items() if one.kind == "external"} if parts else {}
    return Side(run, tracked, plan, externals)


def compare(a: Side, b: Side, read: Read) -> Comparison:
    """Everything in which two runs differ; `read` answers a blob's bytes."""
    found: dict[str, Any] = {
        "runs": tuple(of_runs(a.run, b.run)),
        "params": tuple(of_texts("param", a.tracked.params, b.tracked.params)),
        "code": tuple(of_code(a, b, read)),
        "data": tuple(of_data(a, b)),
        "environment": tuple(of_environment(a, b, read)),
        "metrics": tuple(of_metrics(a.tracked.metrics, b.tracked.metrics)),
        "versions": tuple(of_versions(a, b)),
        "release": tuple(of_texts("release", named("release", a.run.release), named("release", b.run.release))),
    }
    steps = tuple(of_steps(a, b))
    same = not any(found.values()) and not any(is_different(step) for step in steps)
    return Comparison(a=a.run.run_id, b=b.run.run_id, same=same, steps=steps, **found)


def of_runs(a: PipelineRun, b: PipelineRun) -> Iterable[Difference]:
    """Which pipeline ran, where it belongs, how it ended."""
    return [
        Difference("run", name, getattr(a, name), getattr(b, name))
        for name in ("pipeline", "project", "status", "error")
        if getattr(a, name) != getattr(b, name)
    ]


def of_code(a: Side, b: Side, read: Read) -> Iterable[Difference]:
    """Functions, classes, values and files of any step that were edited, are new or gone; the commit."""
    plans = (a.plan, b.plan)
    for one in of_pieces(joined(a.plan), joined(b.plan)):
        kind, _, name = one.name.partition(" ")
        yield patched(one, kind, name, plans, read) if one.was and one.now else one
    yield from of_texts("git", commit(a.tracked.surroundings), commit(b.tracked.surroundings))


def joined(plan: Plan | None) -> Code:
    """The pieces of all steps' code, each once."""
    pieces = {piece: None for code in (plan.codes.values() if plan else ()) for piece in code.pieces}
    return Code("", tuple(pieces), {}, "")


def commit(surroundings: Mapping[str, Any]) -> dict[str, str]:
    """The commit, and whether the working tree differed from it."""
    git = surroundings.get("git") or {}
    dirty = " with changes" if git.get("dirty") else ""
    return {"commit": f"{str(git['commit'])[:12]}{dirty}"} if git.get("commit") else {}


def of_data(a: Side, b: Side) -> Iterable[Difference]:
    """Snapshots of datasets, and what steps read by themselves."""
    yield from of_texts("dataset", snapshots(a), snapshots(b))
    externals = [{name: one.digest[:12] for name, one in side.externals.items()} for side in (a, b)]
    yield from of_texts("external", *externals)


def snapshots(side: Side) -> dict[str, str]:
    """The digest of each dataset's snapshot."""
    links = side.tracked.links
    return {one.name: one.digest[:12] for one in links if one.direction == "input" and one.kind == "dataset"}


def of_environment(a: Side, b: Side, read: Read) -> Iterable[Difference]:
    """The environment's name, Python, machine, distributions that steps import, and others that are installed."""
    yield from of_texts("environment", named("environment", a.run.environment), named("environment", b.run.environment))
    around = [
        {name: str(side.tracked.surroundings.get(name, "")) for name in ("python", "platform", "host", "cpus")}
        for side in (a, b)
    ]
    yield from of_texts("machine", *around)
    used = [side.plan.distributions() if side.plan else {} for side in (a, b)]
    yield from of_texts("distribution", *used)
    counted = used[0].keys() | used[1].keys()
    lists = [installed(side.tracked.surroundings.get("distributions", ""), read) for side in (a, b)]
    if all(one is not None for one in lists):
        others = [{name: version for name, version in (one or {}).items() if name not in counted} for one in lists]
        yield from of_texts("installed", *others)


def installed(digest: Any, read: Read) -> dict[str, str] | None:
    """Versions of everything that was installed; None when that is not kept."""
    if not isinstance(digest, str) or not digest:
        return None
    try:
        lines = read(digest).decode(errors="replace").splitlines()
    except LooplineError:
        return None
    return {name: version for name, _, version in (line.partition("==") for line in lines) if name}


def of_metrics(was: Mapping[str, float | str], now: Mapping[str, float | str]) -> Iterable[MetricChange]:
    """Metrics that differ; two that are no number (NaN) are equal."""
    for name in sorted(was.keys() | now.keys()):
        one = MetricChange(name, was.get(name), now.get(name))
        if one.was != one.now and not (one.was != one.was and one.now != one.now):
            yield one


def of_versions(a: Side, b: Side) -> Iterable[Difference]:
    """Model versions that the runs gave, and digests of what they returned."""
    yield from of_texts("model", version(a.run), version(b.run))
    outputs = [{f"result {n}": one[:12] for n, one in enumerate(side.run.outputs, 1)} for side in (a, b)]
    yield from of_texts("output", *outputs)


def version(run: PipelineRun) -> dict[str, str]:
    """The model version that a run gave."""
    return {run.model: f"version {run.version}"} if run.model and run.version is not None else {}


def of_steps(a: Side, b: Side) -> Iterable[StepChange]:
    """Every step of both runs, in the order of the second, those that are gone at the end."""
    before, after = ({step.label: step for step in side.run.steps} for side in (a, b))
    codes = [{node.label: node.code for node in (side.plan.nodes if side.plan else ())} for side in (a, b)]
    for label in dict.fromkeys((*after, *before)):
        was, now = before.get(label), after.get(label)
        one = now or was
        whole = (one.part_of if one else "") or label
        yield StepChange(
            label=label,
            was=was.status if was else "",
            now=now.status if now else "",
            seconds_was=was.seconds if was else 0.0,
            seconds_now=now.seconds if now else 0.0,
            output=output_of(was, now),
            code_changed=bool(was and now) and codes[0].get(whole) != codes[1].get(whole),
        )


def output_of(was: StepRun | None, now: StepRun | None) -> Literal["same", "differs", "unknown"]:
    """Whether two step runs gave the same result."""
    if was is None or now is None or not was.output or not now.output:
        return "unknown"
    return "same" if was.output == now.output else "differs"


def is_different(step: StepChange) -> bool:
    """Whether a step differs by more than time and by whether its result was there already."""
    done = {"hit", "ran"}
    ended = step.was == step.now or {step.was, step.now} <= done
    return not ended or step.output == "differs" or step.code_changed


def named(name: str, value: str) -> dict[str, str]:
    """A text under its name, nothing for an empty one."""
    return {name: value} if value else {}

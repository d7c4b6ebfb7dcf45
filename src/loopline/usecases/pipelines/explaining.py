"""Why a step was a hit or ran: what its key was made of, against the most similar earlier key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from loopline.core.errors import NotFound
from loopline.core.times import from_text
from loopline.ports.database import Transaction
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.model import (
    Argument,
    Code,
    Difference,
    Options,
    Piece,
    PipelineRun,
    Plan,
    StepRun,
    Why,
)

Parts = tuple[Code, dict[str, Argument], str]
Pieces = dict[tuple[str, str, str], tuple[str, ...]]
FORCED = "forced"  # the tag of a run with the labels of steps that had to run anew ("all" for every one)
_LONGEST_TAG = 2000
_SAID = {"failed": "Failed", "cancelled": "Cancelled", "running": "Runs", "skipped": "Skipped"}


class Asked(msgspec.Struct, frozen=True):
    """Why what is asked: a step of a run, the run's plan and tags, and how to read a blob."""

    tx: Transaction
    run: PipelineRun
    step: StepRun
    plan: Plan | None
    tags: Mapping[str, str]
    read: Callable[[str], bytes]

    @property
    def options(self) -> Options:
        """How the step was to be run."""
        nodes = self.plan.nodes if self.plan else ()
        own = self.step.part_of or self.step.label
        return next((node.options for node in nodes if node.label == own), Options())


def why(tx: Transaction, run: PipelineRun, label: str, tags: Mapping[str, str], read: Callable[[str], bytes]) -> Why:
    """The answer for one step of a run; NotFound when the run has no such step. `read` answers a blob's bytes."""
    asked = Asked(tx, run, step_of(run, label), store.plan_of(tx, run.run_id), tags, read)
    step, parts = asked.step, store.key_parts(tx, asked.step.key)
    notes = tuple(dict.fromkeys(note_of(piece) for piece in parts[0].pieces if piece.note)) if parts else ()
    if step.attempts > 1:
        notes = (f"It was tried {step.attempts} times.", *notes)
    if step.status == "hit":
        return hit(asked, parts, notes)
    if parts is None or step.status == "skipped":
        return Why(run_id=run.run_id, step=step.label, status=step.status, sentence=keyless(asked), notes=notes)
    return ran(asked, parts, notes)


def hit(asked: Asked, parts: Parts | None, notes: tuple[str, ...]) -> Why:
    """Why a step was taken from the cache."""
    run, step = asked.run, asked.step
    since = f"since run {step.made_by[:8]} made its result"
    sentence = f"Hit: nothing that {step.label} depends on changed {since}."
    volatile = sorted(name for name, one in parts[1].items() if one.kind == "volatile") if parts else []
    if volatile:
        notes = (*notes, f"Not counted, as it is volatile: {', '.join(volatile)}.")
    return Why(run_id=run.run_id, step=step.label, status="hit", sentence=sentence, made_by=step.made_by, notes=notes)


def keyless(asked: Asked) -> str:
    """What is to be said of a step that has no key: one that did not run, or a map of calls."""
    step = asked.step
    calls = [one for one in asked.run.steps if one.part_of == step.label]
    if calls:
        counts = Counter(one.status for one in calls)
        told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        return (
            f"{_SAID.get(step.status, 'Ran')}: of its {len(calls)} calls {told}. Ask why of one, as {calls[0].label}."
        )
    if step.error:
        return f"{_SAID.get(step.status, 'Ran')}: {step.error[0].lower()}{step.error[1:]}"
    return f"{step.label} did not get as far as a key."


def step_of(run: PipelineRun, label: str) -> StepRun:
    """The step run with that label, or the first of the step with that name."""
    for step in run.steps:
        if label in (step.label, step.step):
            return step
    there = ", ".join(step.label for step in run.steps)
    raise NotFound(f"The run {run.run_id[:8]} has no step {label!r}.", f"It has {there or 'none'}.")


def ran(asked: Asked, parts: Parts, notes: tuple[str, ...]) -> Why:
    """Why a step ran: that its key was known is told first, else the fewest differences to any earlier key of the step,
    of equally few the newest."""
    step, run = asked.step, asked.run
    said = f"{_SAID.get(step.status, 'Ran')}: "
    again = anew(asked)
    if again:
        return Why(run_id=run.run_id, step=step.label, status=step.status, sentence=said + again, notes=notes)
    best = most_similar(asked, parts)
    if best is None:
        first = f"{said}{step.step} was never run before."
        return Why(run_id=run.run_id, step=step.label, status=step.status, sentence=first, notes=notes)
    key, other, found = best
    earlier = store.first_run_of(asked.tx, key)
    differing = tuple(shown(asked, earlier, found, (other, parts)))
    sentence = said + " and ".join(told(one) for one in differing[:3]) + (" and more." if len(differing) > 3 else ".")
    if not differing:
        sentence = f"{said}what it depends on is counted in another way since the run {earlier[:8]}."
    return Why(
        run_id=run.run_id,
        step=step.label,
        status=step.status,
        sentence=sentence,
        compared_with=earlier,
        differences=differing,
        notes=notes,
    )


def forced_tag(plan: Plan, forced: Collection[str]) -> dict[str, str]:
    """The tag that tells later which steps had to run anew."""
    labels = ", ".join(node.label for node in plan.nodes if node.label in forced)
    whole = len(labels) > _LONGEST_TAG or all(node.label in forced for node in plan.nodes)
    return {FORCED: "all" if whole else labels} if labels else {}


def anew(asked: Asked) -> str:
    """Why a step ran though its key was known; empty when it was not."""
    options, step = asked.options, asked.step
    if not options.cached:
        return f"{step.step} is declared with no_cache, so it runs every time."
    before = store.made_before(asked.tx, step.key, asked.run.run_id, step.started_at)
    labels = asked.tags.get(FORCED, "").split(", ")
    if before is not None and ({"all", step.label, step.part_of} - {""}) & set(labels):
        return "it had to run anew in this run, whatever was known."
    if before is None:
        return (
            "it had not succeeded with this key before."
            if store.tried_before(asked.tx, step.key, asked.run.run_id)
            else ""
        )
    age = (from_text(step.started_at) - from_text(before["started_at"])).total_seconds()
    if options.max_age and age > options.max_age:
        return f"its result of run {before['run_id'][:8]} was older than {spoken(options.max_age)}, its max_age."
    return f"its earlier result, of run {before['run_id'][:8]}, was gone or damaged."


def spoken(seconds: float) -> str:
    """Seconds as people say them."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number != 1)}"
    return f"{seconds:g} seconds"


def most_similar(asked: Asked, parts: Parts) -> tuple[str, Parts, list[Difference]] | None:
    """The earlier key of the step with the fewest differences, what it was made of, and these."""
    best: tuple[str, Parts, list[Difference]] | None = None
    for key in store.earlier_keys(asked.tx, asked.step.step, parts[2], asked.step.key):
        other = store.key_parts(asked.tx, key)
        if other is not None:
            found = differences(other, parts)
            if best is None or len(found) < len(best[2]):
                best = (key, other, found)
    return best


def shown(asked: Asked, earlier: str, found: list[Difference], parts: tuple[Parts, Parts]) -> Iterable[Difference]:
    """The differences with what was edited, as far as the files of both runs are kept."""
    from loopline.usecases.pipelines.patches import patched

    plans = (store.plan_of(asked.tx, earlier), asked.plan)
    for one in found:
        kind, _, name = one.name.partition(" ")
        yield patched(one, kind, name, plans, asked.read) if one.what == "code" and one.was and one.now else one


def differences(was: Parts, now: Parts) -> list[Difference]:
    """Everything in which two keys differ; what is named goes before what names it."""
    found = list(of_pieces(was[0], now[0]))
    found += of_texts("distribution", was[0].distributions, now[0].distributions)
    if was[0].python != now[0].python:
        found.append(Difference("python", "Python", was[0].python, now[0].python))
    return found + of_arguments(was[1], now[1])


def of_arguments(was: Mapping[str, Argument], now: Mapping[str, Argument]) -> list[Difference]:
    """Arguments and externals that differ; volatile ones do not count."""
    found = []
    for name in sorted(was.keys() | now.keys()):
        before, after = was.get(name), now.get(name)
        if {one.kind for one in (before, after) if one} == {"volatile"}:
            continue
        if before is None or after is None or before.digest != after.digest:
            found.append(of_argument(name, before, after))
    return found


def of_pieces(was: Code, now: Code) -> Iterable[Difference]:
    """Functions, classes, values and files that differ, are new or gone."""
    before, after = pieces_of(was), pieces_of(now)
    for key in sorted(before.keys() | after.keys(), key=lambda key: (key[0] == "name", key)):
        old, new = before.get(key, ()), after.get(key, ())
        if old != new:
            kind, name, file = key
            was_digest, now_digest = (" ".join(one[:12] for one in found) for found in (old, new))
            yield Difference("code", f"{kind} {name}", was_digest, now_digest, file)


def pieces_of(code: Code) -> Pieces:
    """The digests of a code's pieces by what they are; a set's elements share one name."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for piece in code.pieces:
        found.setdefault((piece.kind, piece.name, piece.file), []).append(piece.digest)
    return {key: tuple(sorted(digests)) for key, digests in found.items()}


def of_texts(what: str, was: Mapping[str, str], now: Mapping[str, str]) -> list[Difference]:
    """Names whose texts differ."""
    names = sorted(was.keys() | now.keys())
    return [
        Difference(what, name, was.get(name, ""), now.get(name, "")) for name in names if was.get(name) != now.get(name)
    ]


def of_argument(name: str, was: Argument | None, now: Argument | None) -> Difference:
    """An argument that differs."""
    one = now or was
    what = one.kind if one else "parameter"
    title = f"{name} (from {one.source})" if one and one.source else name
    return Difference(what, title, was.shown if was else "", now.shown if now else "")


def told(one: Difference) -> str:
    """A difference in words."""
    if one.what == "code":
        kind, _, name = one.name.partition(" ")
        change = "is new" if not one.was else "is gone" if not one.now else "changed"
        if change == "changed" and kind == "name":
            return f"{name} in {one.file} stands for something else"
        if change == "changed" and kind == "value" and one.patch and is_text(one.was) and is_text(one.now):
            return f"the {one.name} in {one.file} went from {one.was} to {one.now}"
        return f"the {one.name} in {one.file} {change}"
    if one.what in ("input", "external"):
        change = "is new" if not one.was else "is gone" if not one.now else "changed"
        return f"the {one.what} {one.name} {change}"
    return f"the {one.what} {one.name} went from {one.was or 'nothing'} to {one.now or 'nothing'}"


def is_text(shown: str) -> bool:
    """Whether a value is shown by its text and not by the beginning of a digest."""
    return not (len(shown) == 12 and all(char in "0123456789abcdef" for char in shown))


def note_of(piece: Piece) -> str:
    """Why the whole of a file counts."""
    return f"All of {piece.file} counts: {piece.note}."

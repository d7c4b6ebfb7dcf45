"""Why a step was a hit or ran: what its key was made of, against the most similar earlier key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loopline.core.errors import NotFound
from loopline.ports.database import Transaction
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.model import Argument, Code, Difference, Piece, PipelineRun, StepRun, Why

Parts = tuple[Code, dict[str, Argument], str]


def why(tx: Transaction, run: PipelineRun, label: str) -> Why:
    """The answer for one step of a run; NotFound when the run has no such step."""
    step = step_of(run, label)
    parts = store.key_parts(tx, step.key)
    notes = tuple(note_of(piece) for piece in parts[0].pieces if piece.note) if parts else ()
    if step.status == "hit":
        sentence = f"Hit: nothing that {label} depends on changed since run {step.made_by[:8]} made its result."
        return Why(run_id=run.run_id, step=label, status="hit", sentence=sentence, made_by=step.made_by, notes=notes)
    if parts is None:
        sentence = step.error or f"{label} did not get as far as a key."
        return Why(run_id=run.run_id, step=label, status=step.status, sentence=sentence)
    return ran(tx, run, step, parts, notes)


def step_of(run: PipelineRun, label: str) -> StepRun:
    """The step run with that label, or the first of the step with that name."""
    for step in run.steps:
        if label in (step.label, step.step):
            return step
    there = ", ".join(step.label for step in run.steps)
    raise NotFound(f"The run {run.run_id[:8]} has no step {label!r}.", f"It has {there or 'none'}.")


def ran(tx: Transaction, run: PipelineRun, step: StepRun, parts: Parts, notes: tuple[str, ...]) -> Why:
    """Why a step ran: the fewest differences to any earlier key of the step, of equally few the newest."""
    best: tuple[str, list[Difference]] | None = None
    for key in store.earlier_keys(tx, step.step, parts[2], step.key):
        other = store.key_parts(tx, key)
        if other is not None:
            found = differences(other, parts)
            if best is None or len(found) < len(best[1]):
                best = (key, found)
    said = f"{'Failed' if step.status == 'failed' else 'Ran'}: "
    if best is None or not best[1]:
        earlier = (
            "it had not succeeded with this key before" if best is None else "its earlier result was gone or damaged"
        )
        reason = f"{said}{step.step} was never run before." if best is None else f"{said}{earlier}."
        return Why(run_id=run.run_id, step=step.label, status=step.status, sentence=reason, notes=notes)
    differing = tuple(best[1])
    sentence = said + " and ".join(told(one) for one in differing[:3]) + (" and more." if len(differing) > 3 else ".")
    return Why(
        run_id=run.run_id,
        step=step.label,
        status=step.status,
        sentence=sentence,
        compared_with=store.first_run_of(tx, best[0]),
        differences=differing,
        notes=notes,
    )


def differences(was: Parts, now: Parts) -> list[Difference]:
    """Everything in which two keys differ."""
    found = list(of_pieces(was[0], now[0]))
    found += of_texts("distribution", was[0].distributions, now[0].distributions)
    if was[0].python != now[0].python:
        found.append(Difference("python", "Python", was[0].python, now[0].python))
    for name in sorted(was[1].keys() | now[1].keys()):
        before, after = was[1].get(name), now[1].get(name)
        if before is None or after is None or before.digest != after.digest:
            found.append(of_argument(name, before, after))
    return found


def of_pieces(was: Code, now: Code) -> Iterable[Difference]:
    """Functions, classes, values and files that differ, are new or gone."""
    before, after = store.pieces_of(was), store.pieces_of(now)
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        was_digest, now_digest = (piece.digest[:12] if piece else "" for piece in (old, new))
        if was_digest != now_digest:
            kind, name, file = key
            yield Difference("code", f"{kind} {name}", was_digest, now_digest, file)


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
        change = "is new" if not one.was else "is gone" if not one.now else "changed"
        return f"the {one.name} in {one.file} {change}"
    if one.what == "input":
        return f"the input {one.name} changed"
    return f"the {one.what} {one.name} went from {one.was or 'nothing'} to {one.now or 'nothing'}"


def note_of(piece: Piece) -> str:
    """Why the whole of a file counts."""
    return f"All of {piece.file} counts: {piece.note}."

"""How each thing on a walk is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.core.facts import Fact
from loopline.usecases.lineage.model import Kind, Node, figures, short, told
from loopline.usecases.lineage.needs import Part, Run, Snapshot, Stone, Version

LOGGED = (
    "id", "endpoint", "revision", "model", "version", "arm", "caller", "rules", "sample", "at", "event_time", "key",
    "prediction", "latency_us", "explanation", "explanation_base",
)  # fmt: skip
MOST_PIECES = 12


def prediction(record: Mapping[str, Any]) -> Node:
    lines = [f"predicted {record['prediction']} for {record.get('key') or 'a row without key'}"]
    if record.get("event_time"):
        lines.append(f"event time {record['event_time']}")
    if record.get("caller"):
        lines.append(f"asked by {record['caller']}")
    if record.get("arm", "live") != "live":
        lines.append(f"answered by the arm {record['arm']}")
    if record.get("rules"):
        lines.append(f"under the rules {record['rules']}")
    inputs = {name: value for name, value in record.items() if name not in LOGGED}
    lines.append(f"inputs: {figures(inputs, 40)}")
    name = str(record["id"])
    return Node(id=f"prediction {name}", kind="prediction", title=name, lines=lines, at=record["at"],
                ref={"prediction": name, "endpoint": record["endpoint"]})  # fmt: skip


def removed(kind: Kind, stone: Stone) -> Node:
    """A thing that is there no more."""
    owner, _, digest = stone.name.rpartition("/")
    title = (
        f"{owner} {short(digest)}" if kind == "snapshot" else stone.name[:40] if kind != "run" else short(stone.name)
    )
    return Node(id=f"{kind} {stone.name}", kind=kind, title=title, lines=[stone.sentence], at=stone.removed_at)


def revision(endpoint: str, number: int, facts: list[Fact], more: Sequence[str] = (), at: str = "") -> Node:
    return Node(
        id=f"revision {endpoint} {number}",
        kind="revision",
        title=f"{endpoint} revision {number}",
        lines=[*more, *told(facts)],
        at=at or (facts[0].at if facts else ""),
        ref={"endpoint": endpoint, "revision": number},
        facts=facts,
    )


def version(found: Version, facts: list[Fact]) -> Node:
    lines = [f"{found.format}, digest {short(found.digest)}"]
    lines += [figures(found.metrics)] if found.metrics else []
    trained = [f"{key.removeprefix('trained_')} {found.metadata[key]}" for key in ("trained_from", "trained_until")
               if found.metadata.get(key)]  # fmt: skip
    lines += [f"trained on rows {' '.join(trained)}"] if trained else []
    return Node(
        id=f"version {found.model} {found.version}",
        kind="version",
        title=f"{found.model}:{found.version}",
        lines=lines + told(facts),
        at=found.created_at,
        ref={"model": found.model, "version": found.version},
        facts=facts,
    )


def run(found: Run, pipeline: Any | None, facts: list[Fact]) -> Node:
    lines = [f"{found.status}, by {found.created_by}"]
    lines += [f"params: {figures(found.params)}"] if found.params else []
    steps = pipeline.steps if pipeline is not None else ()
    lines += [f"{step.label}: {'taken from run ' + short(step.made_by) if step.status == 'hit' else step.status}"
              for step in steps]  # fmt: skip
    git = found.surroundings.get("git") or {}
    lines += [f"git {git['commit'][:12]}{' with changes' if git.get('dirty') else ''}"] if git.get("commit") else []
    return Node(
        id=f"run {found.id}",
        kind="run",
        title=f"{found.name} {short(found.id)}",
        lines=lines,
        at=found.started_at,
        ref={"run": found.id},
        facts=facts,
    )


def code(label: str, closure: Any, run_id: str) -> Node:
    """The closure of one step's code, file by file."""
    shown = [piece for piece in closure.pieces if piece.kind != "name"]  # what a name stands for says the code itself
    pieces = [f"{piece.file}: {piece.kind} {piece.name}".strip() for piece in shown]
    more = [f"and {len(pieces) - MOST_PIECES} more"] if len(pieces) > MOST_PIECES else []
    used = ", ".join(f"{name} {number}" for name, number in sorted(closure.distributions.items()))
    return Node(
        id=f"code {closure.digest}",
        kind="code",
        title=f"{label} {short(closure.digest)}",
        lines=[*pieces[:MOST_PIECES], *more, *([f"uses {used}"] if used else [])],
        ref={"code": closure.digest, "step": label, "run": run_id},
    )


def files(digest: str) -> Node:
    """A project's files as a whole, where no closure of steps is known."""
    return Node(id=f"code {digest}", kind="code", title=f"files {short(digest)}", ref={"code": digest})


def snapshot(found: Snapshot, facts: list[Fact], more: Sequence[str] = ()) -> Node:
    count = len(found.parts)
    return Node(
        id=f"snapshot {found.digest}",
        kind="snapshot",
        title=f"{found.dataset} {short(found.digest)}",
        lines=[f"{found.rows} rows in {count} batch{'es' * (count != 1)}", *more, *told(facts)],
        at=found.taken_at,
        ref={"dataset": found.dataset, "snapshot": found.digest},
        facts=facts,
    )


def batch(dataset: str, part: Part) -> Node:
    return Node(
        id=f"batch {part.digest}",
        kind="batch",
        title=part.name,
        lines=[f"{part.rows} rows, digest {short(part.digest)}"],
        ref={"dataset": dataset, "batch": part.digest, "name": part.name},
    )

"""A run as people watch it: its steps, its maps counted, what it prints. Read afresh every second, so that ten thousand
calls are counted where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from loopline.core.times import from_text
from loopline.ports.database import Transaction
from loopline.usecases.pipelines import store, trials
from loopline.usecases.pipelines.graphs import needed
from loopline.usecases.pipelines.live import CALLS
from loopline.usecases.pipelines.model import Node, PipelineRun, Plan, StepRun

MOST_MAPS = 20
MOST_TRIALS = 500
TAIL_BYTES = 6_000
MOST_TAILS = {"running": 6, "failed": 3, "ran": 3}
TIMED = ("ran", "failed", "running", "cancelled")
_STEPS = f"SELECT {', '.join(StepRun.__struct_fields__)} FROM pipelines_steps WHERE run_id = :id"
_FIRST = "CASE status WHEN 'failed' THEN 0 WHEN 'running' THEN 1 WHEN 'cancelled' THEN 2 WHEN 'ran' THEN 3 ELSE 4 END"


class Viewed(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the plan, or one call of a map or search. `kind` tells which of these it is; `needs` are labels; `after`
    and `until` seconds from the run's start (None: not begun, not ended). Of a map or search `calls` counts those known
    so far and `counts` how they stand; `direction` says which number of a search is best. A trial has `params`, and its
    number as `value`, once it has ended."""

    label: str
    step: str
    status: str
    kind: Literal["step", "map", "search", "call"] = "step"
    needs: tuple[str, ...] = ()
    direction: str = ""
    calls: int = 0
    counts: dict[str, int] = {}
    after: float | None = None
    until: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss: int = 0
    attempts: int = 1
    warnings: int = 0
    error: str = ""
    made_by: str = ""
    printed: bool = False
    params: dict[str, str] = {}
    value: float | None = None


class Tail(msgspec.Struct, frozen=True):
    """The end of what a step printed."""

    label: str
    status: str
    text: str


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stands: `now` seconds after its start, `done` of `total` steps and calls ended, `counts` of them how.
    `calls` holds a part of the calls of each map or search, those that failed or run first."""

    run: PipelineRun
    now: float
    total: int
    done: int
    counts: dict[str, int]
    steps: tuple[Viewed, ...]
    calls: dict[str, tuple[Viewed, ...]]
    logs: tuple[Tail, ...]


class Sources(msgspec.Struct, frozen=True):
    """Where the bytes of logs are: those of running steps in a folder, those of ended ones among the blobs."""

    scratch: Path
    blob: Callable[[str], bytes]


def bare(tx: Transaction, run_id: str) -> PipelineRun | None:
    """A pipeline run without its steps."""
    row = tx.row(
        """SELECT p.*, t.status, t.error FROM pipelines_runs p JOIN tracking_runs t ON t.id = p.run_id
        WHERE p.run_id = :id""",
        {"id": run_id},
    )
    return store.assembled(row, (), {}) if row else None


def overview(
    tx: Transaction, run: PipelineRun, plan: Plan | None, now: datetime, most: int, sources: Sources
) -> Overview:
    """The run (without its steps) as it stands; at most `most` calls of each map are told one by one."""
    asked = store.asked(tx, run.run_id) or {}
    origin = asked.get("same_as") or run.run_id
    view = _View(run, origin != run.run_id)
    counts = counted(tx, origin, view)
    if run.status == "running":
        await_rest(counts, sources.scratch / run.run_id / CALLS)
    top = {step.label: step for step in view.taken(tx.rows(f"{_STEPS} AND part_of = ''", {"id": origin}))}
    nodes = plan.nodes if plan is not None else ()
    labels = [node.label for node in nodes]
    spans = spanned(tx, origin, view) if counts and not view.same else {}
    steps = [
        view.node(node, labels, top.get(node.label), counts.get(node.label, {}), spans.get(node.label))
        for node in nodes
    ]
    several = [(node, one) for node, one in zip(nodes, steps, strict=True) if one.calls][:MOST_MAPS] if most else []
    calls = {
        one.label: view.trials(tx, origin, node, sources) if node.search else view.calls(tx, origin, one.label, most)
        for node, one in several
    }
    leaves = tally(steps)
    return Overview(
        run=run,
        now=(now - from_text(run.started_at)).total_seconds() if run.seconds is None else run.seconds,
        total=sum(leaves.values()),
        done=sum(number for status, number in leaves.items() if status not in ("running", "waiting")),
        counts=leaves,
        steps=tuple(steps),
        calls=calls,
        logs=tuple(tails(tx, run, sources)),
    )


class _View:
    """How rows of a run are shown; `same`: another run's rows, all of whose results were taken."""

    def __init__(self, run: PipelineRun, same: bool) -> None:
        self.run = run
        self.same = same
        self.began = from_text(run.started_at)

    def taken(self, rows: Iterable[Mapping[str, object]]) -> list[StepRun]:
        """Rows as step runs."""
        steps = [StepRun(**row) for row in rows]  # type: ignore[arg-type]
        return [self._as_hit(step) if self.same else step for step in steps]

    def _as_hit(self, step: StepRun) -> StepRun:
        if step.status != "ran":
            return step
        zero = {"seconds": 0.0, "cpu_seconds": 0.0, "max_rss": 0, "attempts": 1, "warnings": 0}
        return msgspec.structs.replace(step, status="hit", **zero)

    def node(
        self,
        node: Node,
        labels: Sequence[str],
        step: StepRun | None,
        counts: dict[str, int],
        span: tuple[float, float] | None,
    ) -> Viewed:
        """One node of the plan."""
        waiting = "waiting" if self.run.status == "running" else "skipped"
        begun = "running" if counts and self.run.status == "running" else waiting
        found = self.step(step) if step else Viewed(label=node.label, step=node.step, status=begun)
        if span and found.status != "hit":
            found = msgspec.structs.replace(found, after=span[0], until=None if begun == found.status else span[1])
        return msgspec.structs.replace(
            found,
            kind="search" if node.search is not None else "map" if node.over else "step",
            needs=tuple(sorted({labels[position] for position in needed(node)})),
            direction=node.search.direction if node.search is not None else "",
            calls=sum(counts.values()),
            counts=counts,
        )

    def step(self, step: StepRun) -> Viewed:
        """One step run with its place in time; hits and skipped ones have none."""
        after = self.offset(step.started_at) if step.status in TIMED else None
        gone = self.run.status != "running" and step.status == "running"
        return Viewed(
            label=step.label,
            step=step.step,
            status="cancelled" if gone else step.status,
            kind="call" if step.part_of else "step",
            after=after,
            until=after + step.seconds if after is not None and step.status != "running" else None,
            seconds=step.seconds,
            cpu_seconds=step.cpu_seconds,
            max_rss=step.max_rss,
            attempts=step.attempts,
            warnings=step.warnings,
            error=step.error,
            made_by=step.made_by,
            printed=bool(step.log),
        )

    def offset(self, text: str) -> float:
        """Seconds from the run's start."""
        return max(0.0, (from_text(text) - self.began).total_seconds())

    def calls(self, tx: Transaction, origin: str, label: str, most: int) -> tuple[Viewed, ...]:
        """Calls of a map or search, those first that one asks about."""
        order = f"{_STEPS} AND part_of = :label ORDER BY {_FIRST}, position LIMIT :most"
        rows = tx.rows(order, {"id": origin, "label": label, "most": most})
        return tuple(self.step(step) for step in self.taken(rows))

    def trials(self, tx: Transaction, origin: str, node: Node, sources: Sources) -> tuple[Viewed, ...]:
        """The newest trials of a search in their order, with what they were given and what came of it."""
        order = f"{_STEPS} AND part_of = :label ORDER BY position DESC LIMIT {MOST_TRIALS}"
        steps = self.taken(tx.rows(order, {"id": origin, "label": node.label}))[::-1]
        given, made = trials.known(tx, [step.key for step in steps if step.key])
        return tuple(
            msgspec.structs.replace(
                self.step(step),
                params=trials.given_to(given.get(step.key), node),
                value=trials.number(made.get(step.key), node, sources.blob) if step.status in ("hit", "ran") else None,
            )
            for step in steps
        )


def counted(tx: Transaction, origin: str, view: _View) -> dict[str, dict[str, int]]:
    """How the calls of each map or search stand."""
    found: dict[str, dict[str, int]] = {}
    rows = tx.rows(
        """SELECT part_of, status, COUNT(*) AS number FROM pipelines_steps WHERE run_id = :id AND part_of <> ''
        GROUP BY part_of, status""",
        {"id": origin},
    )
    for row in rows:
        status = "hit" if view.same and row["status"] == "ran" else row["status"]
        of = found.setdefault(row["part_of"], {})
        of[status] = of.get(status, 0) + row["number"]
    return found


def await_rest(counts: dict[str, dict[str, int]], path: Path) -> None:
    """Count calls as waiting that have not begun: the running process has put down how many there are."""
    try:
        told = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return
    for label, number in told.items():
        of = counts.setdefault(label, {})
        waiting = number - sum(of.values())
        if waiting > 0:
            of["waiting"] = waiting


def spanned(tx: Transaction, origin: str, view: _View) -> dict[str, tuple[float, float]]:
    """When the first call of each map began and the last one ended, in seconds from the run's start."""
    rows = tx.rows(
        """SELECT part_of, started_at, MAX(seconds) AS seconds FROM pipelines_steps WHERE run_id = :id AND part_of <> ''
        AND status IN ('ran', 'failed', 'running', 'cancelled') GROUP BY part_of, started_at""",
        {"id": origin},
    )
    found: dict[str, tuple[float, float]] = {}
    for row in rows:
        after = view.offset(row["started_at"])
        first, last = found.get(row["part_of"], (after, after))
        found[row["part_of"]] = (min(first, after), max(last, after + row["seconds"]))
    return found


def tally(steps: Iterable[Viewed]) -> dict[str, int]:
    """Steps and calls by how they stand; a map counts as its calls, once they are known."""
    found: dict[str, int] = {}
    for step in steps:
        for status, number in (step.counts or {step.status: 1}).items():
            found[status] = found.get(status, 0) + number
    return found


def tails(tx: Transaction, run: PipelineRun, sources: Sources) -> Iterable[Tail]:
    """What the steps printed that run, failed or ended last."""
    for status, most in MOST_TAILS.items():
        printed = "" if status == "running" else "AND log <> ''"
        rows = tx.rows(
            f"""SELECT label, position, log FROM pipelines_steps WHERE run_id = :id AND status = :status {printed}
            ORDER BY started_at DESC, position DESC LIMIT :most""",
            {"id": run.run_id, "status": status, "most": most},
        )
        for row in rows:
            live = sources.scratch / run.run_id / f"{row['position']}.log"
            text = ended(live) if status == "running" else sources.blob(row["log"])[-TAIL_BYTES:]
            shown = "cancelled" if status == "running" and run.status != "running" else status
            yield Tail(row["label"], shown, text.decode(errors="replace"))


def ended(path: Path) -> bytes:
    """The end of a file that may not be there yet, or no more."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read()
    except OSError:
        return b""

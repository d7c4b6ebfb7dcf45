"""What goes and what stays: frozen values, and the rules that need no storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from loopline.core.belongings import Block, Candidate, Swept
from loopline.core.errors import Invalid
from loopline.core.times import from_text, to_text

TRASH, PURGING = "trash", "purging"
KEEP_DAYS = 30
MOST_NAMES = 5
YOUNG = timedelta(hours=1)
PLURAL = {"models": "registered models", "releases": "pipeline releases"}


class Node(msgspec.Struct, frozen=True):
    """A sort of things that go together: how many, the names of the first few, and what belongs to them."""

    what: str
    count: int
    names: list[str] = []
    children: list[Node] = []


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with a thing, or went (`done`): the tree, what blocks it, and room in bytes.

    `size` is what becomes free: bytes that nothing else refers to, and folders of logs. `shared` is what stays because
    something else refers to it. `purged` says that it is gone for good; otherwise it is in the trash `until` a time.
    """

    kind: str
    name: str
    title: str
    tree: Node
    blocks: list[Block]
    size: int
    shared: int
    counts: dict[str, int]
    done: bool = False
    purged: bool = False
    until: str = ""


class Trashed(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in the trash. `until`: when it is purged. `purging`: that has begun, it cannot come back."""

    kind: str
    name: str
    title: str
    removed_at: str
    removed_by: str
    until: str
    size: int = 0
    purging: bool = False


class Tombstone(msgspec.Struct, frozen=True):
    """What was there once: when it was removed, by whom, and as part of what."""

    kind: str
    name: str
    seq: int
    of_kind: str
    of_name: str
    removed_at: str
    removed_by: str

    @property
    def sentence(self) -> str:
        beside = (
            "" if (self.of_kind, self.of_name) == (self.kind, self.name) else f" with the {self.of_kind} {self.of_name}"
        )
        return f"removed on {self.removed_at[:10]} by {self.removed_by}{beside}"


class Purged(msgspec.Struct, frozen=True):
    """How far a purge has come: things still left, and what became free at the end (bytes)."""

    left: int
    size: int = 0
    later: int = 0


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs of an experiment stay. A run stays when any rule says so: it is among the best `keep_best` by the
    metric `by` (the lowest with `lowest`), ended within `keep_days` days, or carries a tag of `keep_tagged` ("name" or
    "name=value"). What versions, releases and deployments use stays always, as does what has not ended, or ended within
    the hour."""

    keep_best: int = 0
    by: str = ""
    lowest: bool = False
    keep_days: int = 0
    keep_tagged: list[str] = []


class Policy(msgspec.Struct, frozen=True):
    """The rules of one experiment; `project` declares them in its loopline.yaml ("": they were set by hand)."""

    experiment: str
    rules: Rules
    set_at: str
    set_by: str
    project: str = ""


class Judged(msgspec.Struct, frozen=True):
    """A run, and why it stays ("" when it goes)."""

    run: str
    title: str
    at: str
    reason: str


class Applied(msgspec.Struct, frozen=True):
    """What a policy did, or would do: how many runs go; which stay, and why."""

    experiment: str
    removed: int
    kept: dict[str, int]
    runs: list[Judged] = []


class Room(msgspec.Struct, frozen=True):
    """What takes the room: bytes that one thing needs, and those of them that only it needs."""

    kind: str
    name: str
    size: int
    alone: int


class Rooms(msgspec.Struct, frozen=True):
    """All that takes room, largest first; `total` counts each byte once."""

    rooms: list[Room]
    total: int
    disk: int
    free: int


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was cleared up, or would be (`dry_run`): by sort in `swept`, by policy in `policies`, and of the step cache
    how many results and blobs went and stay. `size` is all bytes that became free."""

    swept: list[Swept]
    policies: list[Applied]
    results: int
    blobs: int
    files: int
    size: int
    results_kept: int
    size_kept: int
    kept: dict[str, int]
    dry_run: bool


def checked_rules(rules: Rules) -> Rules:
    """Rules that can mean something; Invalid for others."""
    if rules.keep_best < 0 or rules.keep_days < 0:
        raise Invalid("What is kept is counted from 0.", "As --keep-best 20 --keep-days 90.")
    if not (rules.keep_best or rules.keep_days or rules.keep_tagged):
        raise Invalid("These rules would keep nothing.", "Give --keep-best, --keep-days or --keep-tagged.")
    if bool(rules.keep_best) != bool(rules.by):
        raise Invalid("The best are the best by a metric.", "As --keep-best 20 --by metrics.auc.")
    if rules.by.startswith(("params.", "tags.")):
        raise Invalid(f"{rules.by!r} is no metric, and the best are the best by a metric.", "As --by metrics.auc.")
    return msgspec.structs.replace(rules, by=rules.by.removeprefix("metrics."))


def judged(rules: Rules, runs: Sequence[Candidate], used: Mapping[str, str], now: datetime) -> list[Judged]:
    """Each run with the first reason why it stays. `used` says of runs that something needs them, and what."""
    measured = [run for run in runs if run.value is not None]
    ordered = sorted(measured, key=lambda run: (run.value if rules.lowest else -(run.value or 0.0), run.at, run.name))
    best = {run.name: place for place, run in enumerate(ordered[: rules.keep_best], 1)}
    young, recent = to_text(now - YOUNG), to_text(now - timedelta(days=rules.keep_days))
    blind = f"no run has a value of {rules.by}, so none is worse" if rules.keep_best and not measured else ""
    found = []
    for run in runs:
        why = reason(rules, run, used, best, young, recent) or blind  # a misspelt metric must not empty an experiment
        found.append(Judged(run.name, run.title, run.at, why))
    return found


def reason(
    rules: Rules, run: Candidate, used: Mapping[str, str], best: Mapping[str, int], young: str, recent: str
) -> str:
    """Why a run stays; "" when nothing speaks for it."""
    if not run.ended:
        return "it has not ended"
    if run.name in used:
        return used[run.name]
    if run.name in best:
        return f"it is among the best {rules.keep_best} by {rules.by}"
    for wanted in rules.keep_tagged:
        name, sign, value = wanted.partition("=")
        if name in run.tags and (not sign or run.tags[name] == value):
            return f"it is tagged {wanted}"
    if rules.keep_days and run.at >= recent:
        return f"it ended within {rules.keep_days} days"
    return "it ended within the hour" if run.at >= young else ""


def until(removed_at: str, days: int) -> str:
    """When what was removed at a time is purged."""
    return to_text(from_text(removed_at) + timedelta(days=days))


def word(kind: str, count: int) -> str:
    """A kind in singular or plural."""
    return kind if count == 1 else f"{kind}s"


def lines(node: Node, before: str = "", top: bool = True) -> list[str]:
    """A tree for people."""
    named = f" ({', '.join(node.names)}{', …' if node.count > len(node.names) else ''})" if node.names else ""
    found = [f"{node.what}{named}" if top else f"{node.count} {node.what}{named}"]
    for place, child in enumerate(node.children):
        last = place == len(node.children) - 1
        inner = lines(child, "", False)
        found.append(f"{'└─ ' if last else '├─ '}{inner[0]}")
        found += [f"{'   ' if last else '│  '}{line}" for line in inner[1:]]
    return [before + line for line in found]


def blocked(blocks: Iterable[Block], most: int = 5) -> str:
    """What blocks, in one sentence."""
    each = list(blocks)
    texts = [f"{one.kind} {one.name[:40]}: {one.why}" for one in each[:most]]
    return "; ".join(texts) + (f"; and {len(each) - most} more" if len(each) > most else "")

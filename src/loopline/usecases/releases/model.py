"""What a release is: its manifest and how that becomes bytes, what a gate found, where releases stood."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from loopline.core.belongings import Standing
from loopline.core.errors import Invalid
from loopline.core.facts import Fact

PUBLISHED = "release.published"
PROMOTED = "release.promoted"
APPROVED = "release.approved"
ROLLED_BACK = "release.rolled_back"
BUILT = "environment.built"
SCHEMA = 1
LOCK_FILE = "requirements.lock"
Outcome = Literal["passed", "failed", "not_run"]
_DIGEST = re.compile(r"[0-9a-f]{6,64}\Z")
_NAMED = re.compile(r"([A-Za-z0-9][\w.-]{0,99}/)?[A-Za-z0-9_][\w.-]{0,99}\Z")


class SealedFile(msgspec.Struct, frozen=True):
    """A file by SHA-256; `blob` is the digest under which the installation keeps its bytes."""

    sha256: str
    blob: str
    size: int


class Step(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A node of the graph: the labels it needs, the datasets it reads, its options, the digest of its code."""

    label: str
    step: str
    code: str
    needs: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    options: dict[str, Any] = {}
    search: dict[str, Any] | None = None


class Code(msgspec.Struct, frozen=True):
    """The closure of a step: digest of each piece by "file: name", and the distributions that it imports."""

    pieces: dict[str, str]
    distributions: dict[str, str]


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What tracing the pipeline found: steps in order, their code by digest, parameters with type and default."""

    steps: tuple[Step, ...]
    codes: dict[str, Code]
    parameters: dict[str, Any]
    datasets: tuple[str, ...]
    returns_model: bool
    registers: str
    reads: tuple[str, ...] = ()
    """Files of the project, by relative path, that steps read by themselves."""


class Tested(msgspec.Struct, frozen=True):
    """How the project's tests ended; `report` is the SHA-256 over their names and outcomes."""

    report: str
    passed: int
    skipped: int


class LockPart(msgspec.Struct, frozen=True):
    """The lock: digests of the file, and what it pins."""

    sha256: str
    blob: str
    distributions: dict[str, str]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the pipeline is: the `function` in `file`; `registers` names the model it makes."""

    file: str
    function: str
    registers: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that a release is. Its canonical bytes hold no time, no place and no person, so the same content has the
    same digest wherever and whenever it is sealed."""

    schema: int
    loopline: str
    python: str
    project: str
    pipeline: str
    entry: Entry
    graph: Graph
    config: dict[str, Any]
    contracts: dict[str, Any]
    files: dict[str, SealedFile]
    tests: Tested
    lock: LockPart


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed pipeline. `digest` is the SHA-256 of the canonical manifest and its name; `signature` is the
    installation's over it; `manifest_blob` and `content` (digest of files, lock and versions) say where things lie."""

    digest: str
    project: str
    pipeline: str
    created_at: str
    created_by: str
    manifest: Manifest
    manifest_blob: str
    signature: str
    public_key: str
    content: str


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A release in a list: who sealed it when, and in which environments it stands."""

    digest: str
    project: str
    pipeline: str
    created_at: str
    created_by: str
    stands_in: tuple[str, ...] = ()


class Case(msgspec.Struct, frozen=True):
    """One test: `outcome` is passed, failed or skipped; `message` is the end of what a failing one printed."""

    name: str
    outcome: str
    seconds: float
    message: str = ""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the project's tests gave, with durations."""

    cases: tuple[Case, ...]
    seconds: float
    at: str
    python: str

    def count(self, outcome: str) -> int:
        return sum(case.outcome == outcome for case in self.cases)

    def summary(self) -> Tested:
        """What of it is sealed: no durations, so that the same outcomes have the same digest."""
        outcomes = sorted((case.name, case.outcome) for case in self.cases)
        return Tested(sha256(canonical(outcomes)), self.count("passed"), self.count("skipped"))


class Problem(msgspec.Struct, frozen=True):
    """What verifying found: where, and in one sentence what is wrong."""

    where: str
    what: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of `loopline release verify`; `tests` when they were run again."""

    digest: str
    files: int
    problems: tuple[Problem, ...] = ()
    tests: Tested | None = None

    @property
    def sound(self) -> bool:
        return not self.problems


class Check(msgspec.Struct, frozen=True):
    """One check of a gate, with what it saw."""

    name: str
    verdict: Outcome
    reason: str
    evidence: dict[str, Any] = {}


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement on a release for an environment; kept for ever."""

    id: str
    release: str
    environment: str
    verdict: Outcome
    checks: tuple[Check, ...]
    decided_at: str
    decided_by: str


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's yes to a release in an environment."""

    release: str
    environment: str
    note: str
    given_at: str
    given_by: str


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline's release in an environment was exchanged."""

    seq: int
    project: str
    pipeline: str
    environment: str
    release: str
    from_release: str
    gate: str
    reason: str
    moved_at: str
    moved_by: str


class Promoted(msgspec.Struct, frozen=True, kw_only=True):
    """Where a release stands after `promote`; `gate` is None when it stood there already."""

    release: str
    project: str
    pipeline: str
    environment: str
    gate: Gate | None = None


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing in which two releases differ: `what` (file, function, parameter, step, lock, contract, config, test,
    loopline, python) `name` was `was`, is `now`; empty where there is none."""

    what: str
    name: str
    was: str
    now: str


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What `loopline release diff` tells."""

    a: str
    b: str
    changes: tuple[Change, ...]


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: keys sorted, no spaces."""
    return msgspec.json.encode(msgspec.to_builtins(value), order="sorted")


def sha256(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def signed_text(digest: str) -> bytes:
    """What the installation signs for a release."""
    return f"loopline release {digest}".encode()


def parsed_reference(text: str) -> tuple[str, str, str, str]:
    """(beginning of a digest, project, pipeline, environment), those that the text does not name empty. Invalid for
    what is no reference."""
    if "@" in text:
        place, _, environment = text.rpartition("@")
        project, _, pipeline = place.rpartition("/")
        if pipeline and environment:
            return "", project, pipeline, environment
    elif _DIGEST.match(text):
        return text, "", "", ""
    elif _NAMED.match(text):
        project, _, pipeline = text.rpartition("/")
        return "", project, pipeline, ""
    raise Invalid(
        f"{text[:80]!r} names no release.",
        "Write six or more digits of its digest, PIPELINE@ENVIRONMENT, or PIPELINE for the newest.",
    )


def previous(moves: Sequence[Move]) -> str | None:
    """Where a rollback leads: the history as a stack, to which a promotion adds and from which a rollback (a move
    without a gate) takes."""
    stack: list[str] = []
    for move in moves:
        if move.gate:
            stack.append(move.release)
        else:
            del stack[-1]
    return stack[-2] if len(stack) > 1 else None


def place_key(project: str, pipeline: str, environment: str) -> str:
    """The name that moves: what stands in an environment."""
    return f"{project}/{pipeline}@{environment}"


def approval_key(release: str, environment: str, given_by: str) -> str:
    """The name of an approval."""
    return f"{release} for {environment} approved by {given_by}"


def replayed(facts: Iterable[Fact]) -> dict[str, str]:
    """What must stand after `facts`: {"project/pipeline@environment": digest, digest: who published it,
    name of an approval: its note}."""
    stands = Standing(belongs)
    for fact in facts:
        standing = stands.now
        if stands.heard(fact):
            continue
        if fact.kind == PUBLISHED:
            standing[str(fact.body["release"])] = fact.actor
        elif fact.kind == APPROVED:
            body = fact.body
            standing[approval_key(body["release"], body["environment"], fact.actor)] = str(body["note"])
        elif fact.kind in (PROMOTED, ROLLED_BACK):
            body = fact.body
            standing[place_key(body["project"], body["pipeline"], body["environment"])] = str(body["release"])
    return stands.now


def belongs(kind: str, name: str, key: str) -> bool:
    """Whether an entry of `replayed` goes with a thing."""
    if kind == "release":
        return key == name or key.startswith(f"{name} for ")
    return kind == "project" and key.startswith(f"{name}/") and "@" in key

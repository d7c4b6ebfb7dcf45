"""The verbs of releases. Sealing and running are not among them: they take files, which no server is given."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.releases.model import (
    Approval,
    Differences,
    Gate,
    Listed,
    Move,
    Outcomes,
    Promoted,
    Release,
    Verified,
)


class Wanted(msgspec.Struct):
    """Releases of one project or pipeline, or of all."""

    project: str = ""
    pipeline: str = ""
    limit: int = 200


class One(msgspec.Struct):
    """Six or more digits of a digest, PIPELINE@ENVIRONMENT, or PROJECT/PIPELINE@ENVIRONMENT."""

    ref: str


class Two(msgspec.Struct):
    a: str
    b: str


class Into(msgspec.Struct):
    ref: str
    environment: str


class Yes(msgspec.Struct):
    ref: str
    environment: str
    note: str = ""


class Back(msgspec.Struct):
    """`project` where several have a pipeline of that name."""

    pipeline: str
    environment: str
    project: str = ""
    reason: str = ""


class Where(msgspec.Struct):
    project: str = ""
    pipeline: str = ""
    environment: str = ""


class Stood(msgspec.Struct):
    """`at` is ISO 8601; empty for now."""

    project: str
    pipeline: str
    environment: str
    at: str = ""


def listed(releases: Any, request: Wanted, caller: Caller) -> list[Listed]:
    return list(releases.releases(request.project, request.pipeline, request.limit))


def get(releases: Any, request: One, caller: Caller) -> Release:
    found: Release = releases.get(request.ref)
    return found


def tests(releases: Any, request: One, caller: Caller) -> Outcomes:
    found: Outcomes = releases.tests(request.ref)
    return found


def gates(releases: Any, request: One, caller: Caller) -> list[Gate]:
    return list(releases.gates(request.ref))


def approvals(releases: Any, request: One, caller: Caller) -> list[Approval]:
    return list(releases.approvals(request.ref))


def verify(releases: Any, request: One, caller: Caller) -> Verified:
    found: Verified = releases.verify(request.ref)
    return found


def diff(releases: Any, request: Two, caller: Caller) -> Differences:
    found: Differences = releases.diff(request.a, request.b)
    return found


def history(releases: Any, request: Where, caller: Caller) -> list[Move]:
    return list(releases.history(request.project, request.pipeline, request.environment))


def standing(releases: Any, request: Stood, caller: Caller) -> Release | None:
    found: Release | None = releases.standing(request.project, request.pipeline, request.environment, request.at)
    return found


def promote(releases: Any, request: Into, caller: Caller) -> Promoted:
    done: Promoted = releases.promote(request.ref, request.environment, caller.name)
    return done


def approve(releases: Any, request: Yes, caller: Caller) -> Approval:
    given: Approval = releases.approve(request.ref, request.environment, caller.name, request.note)
    return given


def rollback(releases: Any, request: Back, caller: Caller) -> Move:
    moved: Move = releases.rollback(request.pipeline, request.environment, caller.name, request.project, request.reason)
    return moved


VERBS: tuple[Verb, ...] = (
    Verb("releases.list", "GET", "/releases", Role.VIEWER, Wanted, listed, "List releases, newest first"),
    Verb("releases.history", "GET", "/releases/history", Role.VIEWER, Where, history, "What stood where, and when"),
    Verb(
        "releases.standing", "GET", "/releases/standing", Role.VIEWER, Stood, standing, "What stands in an environment"
    ),
    Verb("releases.diff", "GET", "/releases/diff", Role.VIEWER, Two, diff, "What differs between two releases"),
    Verb("releases.rollback", "POST", "/releases/rollback", Role.APPROVER, Back, rollback, "Go back to the one before"),
    Verb("releases.get", "GET", "/release", Role.VIEWER, One, get, "Show a release with its manifest"),
    Verb("releases.tests", "GET", "/release/tests", Role.VIEWER, One, tests, "How the tests of a release ended"),
    Verb("releases.gates", "GET", "/release/gates", Role.VIEWER, One, gates, "Judgements on a release, newest first"),
    Verb("releases.approvals", "GET", "/release/approvals", Role.VIEWER, One, approvals, "Who approved a release"),
    Verb("releases.verify", "GET", "/release/verify", Role.VIEWER, One, verify, "Compare a release with its digest"),
    Verb(
        "releases.promote", "POST", "/release/promote", Role.APPROVER, Into, promote, "Move a release, through its gate"
    ),
    Verb("releases.approve", "POST", "/release/approve", Role.APPROVER, Yes, approve, "Approve a release"),
)

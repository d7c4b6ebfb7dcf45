"""The verbs of retention."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.verbs import Caller, Role, Verb
from loopline.usecases.retention.model import Applied, Policy, Purged, Removal, Rooms, Rules, Trashed


class Nothing(msgspec.Struct):
    pass


class Named(msgspec.Struct):
    kind: str
    name: str


class Remove(msgspec.Struct):
    """`stop` takes a live endpoint off first."""

    kind: str
    name: str
    stop: bool = False


class Purge(msgspec.Struct):
    """With `most`, so many things at a time; `left` of the answer says how much is still to do."""

    kind: str
    name: str
    most: int = 0


class Keep(msgspec.Struct):
    days: int


class Set(msgspec.Struct):
    experiment: str
    keep_best: int = 0
    by: str = ""
    lowest: bool = False
    keep_days: int = 0
    keep_tagged: list[str] = []


class OfExperiment(msgspec.Struct):
    experiment: str


class Days(msgspec.Struct):
    days: int


def look(retention: Any, request: Named, caller: Caller) -> Removal:
    found: Removal = retention.look(request.kind, request.name)
    return found


def remove(retention: Any, request: Remove, caller: Caller) -> Removal:
    found: Removal = retention.remove(request.kind, request.name, caller.name, stop=request.stop)
    return found


def restore(retention: Any, request: Named, caller: Caller) -> Trashed:
    found: Trashed = retention.restore(request.kind, request.name, caller.name)
    return found


def purge(retention: Any, request: Purge, caller: Caller) -> Purged:
    found: Purged = retention.purge_and_free(request.kind, request.name, caller.name, request.most)
    return found


def trash(retention: Any, request: Nothing, caller: Caller) -> list[Trashed]:
    return list(retention.trash())


def keep(retention: Any, request: Keep, caller: Caller) -> Days:
    return Days(retention.set_keep_days(request.days, caller.name))


def room(retention: Any, request: Nothing, caller: Caller) -> Rooms:
    found: Rooms = retention.room()
    return found


def set_policy(retention: Any, request: Set, caller: Caller) -> Policy:
    fields = msgspec.structs.asdict(request)
    found: Policy = retention.set_policy(fields.pop("experiment"), Rules(**fields), caller.name)
    return found


def drop_policy(retention: Any, request: OfExperiment, caller: Caller) -> None:
    retention.drop_policy(request.experiment, caller.name)


def policies(retention: Any, request: Nothing, caller: Caller) -> list[Policy]:
    return list(retention.policies())


def judge(retention: Any, request: OfExperiment, caller: Caller) -> Applied:
    found: Applied = retention.judge(request.experiment)
    return found


def tombstone(retention: Any, request: Named, caller: Caller) -> Any:
    return retention.tombstone(request.kind, request.name)


_POLICY = "/retention/policy"
VERBS = (
    Verb("retention.look", "GET", "/retention/look", Role.VIEWER, Named, look, "Show what would go with a thing"),
    Verb("retention.remove", "POST", "/retention/remove", Role.EDITOR, Remove, remove, "Put a thing into the trash"),
    Verb("retention.trash", "GET", "/retention/trash", Role.VIEWER, Nothing, trash, "List the trash"),
    Verb("retention.restore", "POST", "/retention/restore", Role.EDITOR, Named, restore, "Bring a thing back"),
    Verb("retention.purge", "POST", "/retention/purge", Role.ADMIN, Purge, purge, "Let go of a thing for good"),
    Verb("retention.keep", "POST", "/retention/keep", Role.ADMIN, Keep, keep, "Say how long the trash is kept"),
    Verb("retention.room", "GET", "/retention/room", Role.VIEWER, Nothing, room, "Show what takes the room"),
    Verb("retention.set", "POST", _POLICY, Role.EDITOR, Set, set_policy, "Give an experiment rules"),
    Verb("retention.drop", "DELETE", _POLICY, Role.EDITOR, OfExperiment, drop_policy, "Keep all runs again"),
    Verb("retention.policies", "GET", "/retention/policies", Role.VIEWER, Nothing, policies, "List the rules"),
    Verb(
        "retention.judge", "GET", "/retention/judge", Role.VIEWER, OfExperiment, judge, "Say which runs stay, and why"
    ),
    Verb("retention.tombstone", "GET", "/retention/tombstone", Role.VIEWER, Named, tombstone, "Say what was there"),
)

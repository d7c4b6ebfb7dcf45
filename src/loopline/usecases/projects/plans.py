"""What a plan is made of, and how two configurations differ."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """What a project put into the installation: a dataset or an endpoint, as it was last declared (`wish`; None: not
    known). `left_at` tells since when the project no longer names it."""

    kind: str
    name: str
    wish: dict[str, Any] | None
    put_at: str
    put_by: str
    left_at: str | None = None
    left_by: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that applying would do: it is new, changed or gone in the folder; or it was changed by hand in the
    installation (`by`, `at`: who and when, where the ledger knows), and applying puts it back."""

    kind: str
    name: str
    what: Literal["new", "changed", "gone", "changed_by_hand"]
    details: tuple[str, ...] = ()
    by: str = ""
    at: str = ""


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to the project and lives on in the installation though the folder no longer names it. Only pruning
    retires it; its data stay. `by`, `at`: who applied the project without it, and when ("": nobody did yet)."""

    kind: str
    name: str
    details: tuple[str, ...] = ()
    by: str = ""
    at: str = ""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What applying leaves alone: what somebody did by hand, such as a rollback; or a warning about what is declared."""

    kind: str
    name: str
    text: str
    by: str = ""
    at: str = ""


State = Literal["in_step", "leftovers", "differs"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What applying a folder would change; `applied` says whether it was done, and `pruned` whether the leftovers were
    retired. `after` is the number of the fact of the last application (0: none): applying can be held to it."""

    project: str
    code_digest: str
    changes: tuple[Change, ...]
    applied: bool = False
    leftovers: tuple[Leftover, ...] = ()
    notes: tuple[Note, ...] = ()
    pruned: bool = False
    after: int = 0
    state: State = "in_step"


class Stands(msgspec.Struct, frozen=True, kw_only=True):
    """How an applied project stands against its folder; `reason` says why the folder could not be read ("": it was, so
    that the plan is against it)."""

    project: str
    folder: str
    plan: Plan
    reason: str = ""


SECTIONS = (
    "environments",
    "datasets",
    "pipelines",
    "models",
    "gates",
    "endpoints",
    "monitors",
    "policies",
    "schedules",
    "retention",
    "channels",
)

_ONE = {"policies": "policy"}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What changes from one configuration to another, section by section."""
    changes = []
    for key in sorted((before.keys() | after.keys()) - set(SECTIONS)):
        if before.get(key) != after.get(key):
            changes.append(_changed("project", key, before.get(key), after.get(key)))
    for section in SECTIONS:
        old, new = before.get(section) or {}, after.get(section) or {}
        for name in sorted(old.keys() | new.keys()):
            if name not in old or name not in new or old[name] != new[name]:
                changes.append(
                    _changed(_ONE.get(section, section.removesuffix("s")), name, old.get(name), new.get(name))
                )
    return changes


def _changed(kind: str, name: str, before: Any, after: Any) -> Change:
    what: Literal["new", "changed", "gone"] = "new" if before is None else "gone" if after is None else "changed"
    details: tuple[str, ...] = ()
    if isinstance(before, dict) and isinstance(after, dict):
        fields = sorted(before.keys() | after.keys())
        details = tuple(
            f"{field}: {shown(before.get(field))} → {shown(after.get(field))}"
            for field in fields
            if before.get(field) != after.get(field)
        )
    elif what == "changed":
        details = (f"{shown(before)} → {shown(after)}",)
    return Change(kind=kind, name=name, what=what, details=details)


def shown(value: Any) -> str:
    """A value in a plan: short."""
    return "nothing" if value is None else msgspec.json.encode(value).decode()[:80]

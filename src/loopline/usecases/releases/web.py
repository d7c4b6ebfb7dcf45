"""Pages of releases: what was sealed, and one release with all that it is and where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.pages import Call, Form, Page, attempted

MOST = 200


def releases(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The newest releases, and what stands in each environment now."""
    found = call("releases.list", limit=MOST)
    moves = call("releases.history")
    earlier = {place_of(move) for move in moves if move["from_release"]}
    standing = [
        {**one, "environment": environment, "back": place_of({**one, "environment": environment}) in earlier}
        for one in found
        for environment in one["stands_in"]
    ]
    return {
        "releases": found,
        "standing": sorted(standing, key=lambda one: (one["project"], one["pipeline"], one["environment"])),
        "moves": list(reversed(moves))[:MOST],
    }


def place_of(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """Where a move took place."""
    return one["project"], one["pipeline"], one["environment"]


def release(call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """One release: whether it is as it was sealed, its graph, files, tests, lock, judgements, history."""
    verified = call("releases.verify", ref=params["ref"])
    digest = verified["digest"]
    found = attempted(call, "releases.get", ref=digest)
    moves = call("releases.history", pipeline=found["pipeline"], project=found["project"]) if found else []
    standing = {move["environment"]: move["release"] for move in moves}
    declared = attempted(call, "projects.environments", name=found["project"]) if found else None
    return {
        "digest": digest,
        "verified": verified,
        "release": found,
        "tests": attempted(call, "releases.tests", ref=digest) if found else None,
        "gates": call("releases.gates", ref=digest) if found else [],
        "approvals": call("releases.approvals", ref=digest) if found else [],
        "moves": [move for move in reversed(moves) if digest in (move["release"], move["from_release"])],
        "stands_in": sorted(name for name, one in standing.items() if one == digest),
        "environments": sorted(one["name"] for one in declared or () if one["name"]),
    }


PAGES = (
    Page("/releases", "releases.html", releases, tab="runs"),
    Page("/releases/{ref}", "release.html", release, tab="runs"),
)
FORMS = (
    Form("/releases/{ref}/promote", "releases.promote", "/releases/{ref}"),
    Form("/releases/{ref}/approve", "releases.approve", "/releases/{ref}"),
    Form("/releases/places/{environment}/rollback", "releases.rollback", "/releases"),
)

"""What goes on, or stands, though the file does not say so, and that applying leaves alone: read from the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loopline.usecases.projects import environments
from loopline.usecases.projects.model import policies_of
from loopline.usecases.projects.needs import Ledger
from loopline.usecases.projects.plans import Note

POLICY, ENVIRONMENT = "policy", "environment"
MOVES = ("release.promoted", "release.rolled_back")
NEWEST = 1000


def named(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a configuration names that lives on in the ledger: policies with their firings, environments with their
    releases."""
    policies = [(POLICY, name) for name in policies_of(dict(config))]
    return [*policies, *((ENVIRONMENT, name) for name in environments.declared(config))]


def notes(ledger: Ledger, project: str, gone: set[tuple[str, str]]) -> Iterator[Note]:
    """Of what a project once named and names no more (`gone`): firings under way, and releases that stand."""
    for policy in sorted(name for kind, name in gone if kind == POLICY):
        yield from _firing(ledger, project, policy)
    yield from _releases(ledger, project, {name for kind, name in gone if kind == ENVIRONMENT})


def _firing(ledger: Ledger, project: str, policy: str) -> Iterator[Note]:
    facts = ledger.about(f"policy:{project}/{policy}", ("policy.fired", "policy.finished", "policy.failed"))
    ended = {fact.body.get("firing") for fact in facts if fact.kind != "policy.fired"}
    under_way = [fact for fact in facts if fact.kind == "policy.fired" and fact.body.get("firing") not in ended]
    if under_way:
        text = "a firing is under way that no policy of the file explains; it ends by the rules that it began with"
        yield Note(kind=POLICY, name=policy, text=text, by=under_way[-1].actor, at=under_way[-1].at)


def _releases(ledger: Ledger, project: str, gone: set[str]) -> Iterator[Note]:
    standing = {}
    moves = [fact for kind in MOVES for fact in (ledger.latest(NEWEST, kind=kind) if gone else ())]
    for fact in sorted(moves, key=lambda fact: fact.seq):
        if fact.body.get("project") == project and fact.body.get("environment") in gone:
            standing[str(fact.body.get("pipeline")), str(fact.body["environment"])] = fact
    for (pipeline, environment), fact in standing.items():
        text = f"release {str(fact.body.get('release'))[:12]} stands in an environment that the file does not name"
        yield Note(kind="release", name=f"{pipeline}@{environment}", text=text, by=fact.actor, at=fact.at)

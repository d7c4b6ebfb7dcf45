"""`loopline policies`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

STANDING = [
    ("POLICY", "name"),
    ("ON", "on"),
    ("RUNS", "run"),
    ("TO", "promote_to"),
    ("DEPLOY", "deploy"),
    ("FIRINGS", "firings"),
    ("LAST", "last_at"),
    ("NEXT", "next_at"),
    ("RESTS UNTIL", "rests_until"),
    ("NOW", "now"),
]
FIRINGS = [
    ("FIRED", "fired_at"),
    ("POLICY", "policy"),
    ("STATE", "state"),
    ("CAUSE", "cause"),
    ("RESULT", "reason"),
    ("FIRING", "id"),
]


@click.command()
@click.argument("policy", required=False)
@click.option("--firings", "listed", is_flag=True, help="List firings, newest first.")
@click.option("--why", "firing", metavar="FIRING", help="Say why that firing happened and what it did.")
@click.option("--graph", "graph", is_flag=True, help="Show what starts what.")
@click.option("--holds", is_flag=True, help="List models whose releases are held.")
@click.option("--lift", metavar="MODEL", help="Let the releases of MODEL go on.")
@click.option("--fire", is_flag=True, help="Set POLICY off now.")
@click.option("--project", default="", help="The project, when several have a policy of that name.")
@click.option("--limit", default=50, show_default=True, help="How many firings to list.")
@click.pass_obj
def policies(
    obj: Any, policy: str | None, listed: bool, firing: str | None, graph: bool, holds: bool, lift: str | None, fire: bool,
    project: str, limit: int,
) -> None:  # fmt: skip
    """List policies and how they stand, or the firings of POLICY."""
    if firing:
        story = obj.client.call("automation.why", firing=firing)
        obj.show(story, text="\n".join([*story["sentences"], *map(line, story["did"])]))
    elif lift:
        obj.show(obj.client.call("automation.lift", model=lift), text=f"Releases of {lift} go on.")
    elif holds:
        columns = [("MODEL", "model"), ("SINCE", "since"), ("POLICY", "policy"), ("ALERT", "alert"), ("WHY", "reason")]
        obj.show(obj.client.call("automation.holds"), table=columns, title="Held releases")
    elif graph:
        from loopline.usecases.automation.drawing import lines

        found = obj.client.call("automation.graph")
        obj.show(found, text="\n".join(lines(found["nodes"], found["edges"])) or "Nothing starts anything yet.")
    elif fire:
        if not policy:
            raise click.UsageError("--fire needs the name of a policy.")
        made = obj.client.call("automation.fire", policy=policy, project=project)
        obj.show(made, text=f"The policy {policy} is set off: firing {made['id']}.")
    elif listed or policy:
        obj.show(obj.client.call("automation.firings", policy=policy, limit=limit), table=FIRINGS, title="Firings")
    else:
        standings = obj.client.call("automation.policies")
        obj.show(standings if obj.json else list(map(row, standings)), table=STANDING, title="Policies")


def row(standing: Mapping[str, Any]) -> dict[str, Any]:
    """A policy as one line."""
    active = [f"{standing[name]} {name}" for name in ("running", "waiting") if standing[name]]
    now = ", ".join([*(["paused"] if standing["policy"]["paused"] else []), *active])
    return {**standing, **standing["policy"], "last_at": (standing["last"] or {}).get("fired_at"), "now": now}


def line(fact: Mapping[str, Any]) -> str:
    """A fact as one line."""
    return f"  {fact['seq']:>6}  {fact['at']}  {fact['kind']}  {fact['subject']}"

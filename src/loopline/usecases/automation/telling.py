"""How policies and firings are told to people."""

from __future__ import annotations

from loopline.core.facts import Fact
from loopline.usecases.automation import model
from loopline.usecases.automation.model import Firing, Standing


def said(one: Standing, detail: str) -> str:
    """How a policy stands, in a few words."""
    states = [detail, f"{one.running} running" if one.running else "", f"{one.waiting} waiting" if one.waiting else ""]
    states.append(f"rests until {clock(one.rests_until)}" if one.rests_until else "")
    return ", ".join(filter(None, states))


def clock(at: str | None) -> str:
    """A time as people read it: its day, hour and minute in UTC."""
    return (at or "")[:16].replace("T", " ")


def sentences(firing: Firing, because: Fact | None) -> list[str]:
    """The story of a firing for people."""
    told = [f"The policy {firing.policy!r} fired at {firing.fired_at}, set off by {firing.cause}."]
    if because is not None:
        told.append(f"That is fact {because.seq}, written by {because.actor} at {because.at}.")
    if firing.release:
        told.append(f"It runs release {firing.release[:12]} in {firing.environment or 'the unnamed environment'}.")
    if firing.run_id:
        made = f" and made {firing.model}:{firing.version}" if firing.version else ""
        told.append(f"It ran {firing.rules.run!r} as run {firing.run_id}{made}.")
    if firing.verdict:
        told.append(f"The gate {firing.gate_id} for {firing.alias} says {firing.verdict}.")
    ending = {model.REQUESTED: "It waits to be executed", model.RUNNING: "It is being executed"}
    told.append(f"{ending.get(firing.state, firing.state.capitalize())}{': ' if firing.reason else ''}{firing.reason}.")
    return told

"""The rules that decide whether a policy answers a cause, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.facts import Fact
from loopline.core.times import from_text
from loopline.kit.conditions import agrees
from loopline.usecases.automation.model import GREW, KINDS, RUN_FINISHED, Firing, Policy

EVENT_TIMES = ("event_time", "event_at", "window_until", "window_end", "last_window")
LONGEST_PARAM = 1000


def given(policy: Policy, body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The params of a firing with those that its cause gives (`params_from`), and what is wrong with these, or "".

    What the cause does not give stays as the policy has it.
    """
    params = dict(policy.params)
    for param, name in policy.params_from.items():
        value = named(body, name)
        if value is None:
            continue
        if not isinstance(value, str | int | float | bool) or len(str(value)) > LONGEST_PARAM:
            return params, f"params: {name} is no single value of at most {LONGEST_PARAM} characters"
        params[param] = value
    return params, ""


def named(body: Mapping[str, Any], name: str) -> Any:
    """The field of that name, or None; a name with dots reaches into maps."""
    if name in body:
        return body[name]
    found: Any = body
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def matches(policy: Policy, fact: Fact, fields: Mapping[str, Any] | None = None) -> bool:
    """Whether a fact sets a policy off; `fields` are what it may be asked for (default: its body). What a policy did
    itself never does."""
    if not answers(policy, fact.kind) or fact.actor == policy.actor:
        return False
    known = fact.body if fields is None else fields
    return asked_for(policy, known)


def answers(policy: Policy, kind: str) -> bool:
    """Whether a kind of fact is a policy's; one more cause of an incident is, as an alert is."""
    return kind == policy.on or (kind == GREW and policy.on == KINDS["alert"])


def asked_for(policy: Policy, fields: Mapping[str, Any]) -> bool:
    """Whether fields are what `when` asks for."""
    return all(agrees(named(fields, name), wanted) for name, wanted in wanted_of(policy).items())


def wanted_of(policy: Policy) -> Mapping[str, Any]:
    """What `when` asks of a fact. Of a finished run that names a pipeline: the own project's, and not failed, unless it
    says otherwise."""
    if policy.on != RUN_FINISHED:
        return policy.when
    project = {"project": policy.project} if "pipeline" in policy.when else {}
    return {"status": "finished", **project, **policy.when}


def event_time(fact: Fact) -> str | None:
    """The event time that a fact carries, as it stands there, or None."""
    for name in EVENT_TIMES:
        value = fact.body.get(name)
        if isinstance(value, str) and is_time(value):
            return value
    return None


def is_time(text: str) -> bool:
    try:
        from_text(text)
    except LooplineError:
        return False
    return True


def rests(policy: Policy, last: Firing | None, event_at: str | None, now: str) -> str | None:
    """Until when (text) a policy rests after its last firing, or None when it may fire. Counted on event time when
    both causes carry one, else on the wall clock."""
    if last is None or not policy.cooldown:
        return None
    by_event = event_at is not None and last.event_at is not None
    before = last.event_at if by_event and last.event_at else last.fired_at
    moment = event_at if by_event and event_at else now
    until = from_text(before) + timedelta(seconds=policy.cooldown)
    return until.isoformat().replace("+00:00", "Z") if from_text(moment) < until else None


def dedupe_key(policy: Policy, fact: Fact) -> str:
    """What may set a policy off only once: an alert by its id, else the fact."""
    alert = fact.body.get("alert") or fact.body.get("id")
    return (
        f"{policy.key}/alert:{alert}" if fact.kind in (KINDS["alert"], GREW) and alert else f"{policy.key}/{fact.seq}"
    )

"""Policies and firings: frozen values, and the rules that decide when one fires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal

import msgspec

from loopline.core.errors import Invalid, LooplineError
from loopline.core.facts import Fact
from loopline.core.times import from_text
from loopline.kit.conditions import agrees

FIRED, SKIPPED, FINISHED, FAILED = "policy.fired", "policy.skipped", "policy.finished", "policy.failed"
REQUESTED, RUNNING, DONE, FAILED_STATE, SKIPPED_STATE = "requested", "running", "done", "failed", "skipped"
SCHEDULE, WEBHOOK = "schedule", "webhook"
KINDS = {"alert": "alert.opened"}
RUN_FINISHED = "run.finished"
EVENT_TIMES = ("event_time", "event_at", "window_until", "window_end", "last_window")
LONGEST_PARAM = 1000
AS_WRITTEN = ("environment", "catch_up", "concurrency", "when_busy", "paused", "secret")
_DURATION = re.compile(r"(\d+)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy of an applied project: on what it fires (`on`, narrowed by `when`), what it then runs, and how far the
    result may go by itself.

    `on` is schedule, webhook or the kind of a fact. `when` names fields of the fact with the value, list of values or
    bounds that they must have; for a schedule it holds `cron` and `timezone`. `run` names the pipeline whose release in
    `environment` runs with `params`; `params_from` names params that take their value from a field of the cause.
    `cooldown`, `jitter` and `repeat` are counted in seconds. `concurrency` is how many firings run this pipeline at once,
    `when_busy` what becomes of those beyond it, `catch_up` of occasions that nobody attended to. `secret` says where the
    secret of a webhook stands. `file`, `function` and `code` (digest of the project's files) name the applied code.
    """

    project: str
    name: str
    on: str
    when: Mapping[str, Any] = {}
    run: str = ""
    environment: str = ""
    file: str = "pipeline.py"
    function: str = ""
    params: Mapping[str, Any] = {}
    params_from: Mapping[str, str] = {}
    gate: str = ""
    model: str = ""
    promote_to: str = ""
    deploy: Literal["automatic", "after_approval"] = "after_approval"
    cooldown: float = 0.0
    catch_up: Literal["skip", "one", "all"] = "one"
    jitter: float = 0.0
    concurrency: int = 1
    when_busy: Literal["queue", "skip"] = "queue"
    paused: bool = False
    repeat: float = 0.0
    secret: Mapping[str, str] = {}
    code: str = ""

    @property
    def pipeline(self) -> str:
        """What no more than `concurrency` firings run at once; empty for a policy that runs nothing."""
        return f"{self.project}/{self.run}" if self.run else ""

    @property
    def key(self) -> str:
        return f"{self.project}/{self.name}"

    @property
    def actor(self) -> str:
        """The name under which its facts are written."""
        return f"policy:{self.name}"


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """One firing of a policy: because of which fact, how far it came, what it made.

    `state`: requested, running, done, failed, skipped. `seq` is the fact policy.fired (or policy.skipped); `cause` says
    in words what set it off; `event_at` is its event time when it has one. `promoted` tells that the alias moved.
    While it runs it is leased: only who knows its newest `fence` may write to it, and `beat` grows as long as the
    `owner` lives. `release` is the digest of what it ran in `environment`.
    """

    id: str
    seq: int
    project: str
    policy: str
    dedupe_key: str
    because: int | None
    cause: str
    event_at: str | None
    fired_at: str
    fired_by: str
    rules: Policy
    code: str
    state: str
    reason: str
    owner: str
    attempts: int
    started_seq: int | None
    started_at: str | None
    ended_at: str | None
    run_id: str | None
    model: str | None
    version: int | None
    alias: str | None
    gate_id: str | None
    verdict: str | None
    promoted: bool
    fence: int = 0
    beat: int = 0
    pipeline: str = ""
    environment: str = ""
    release: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A policy with its newest firing, when it fires next (schedules), until when it rests, and how many of its firings
    wait and run."""

    policy: Policy
    firings: int
    last: Firing | None
    next_at: str | None
    rests_until: str | None
    waiting: int = 0
    running: int = 0


class GraphNode(msgspec.Struct, frozen=True):
    """`kind`: schedule, webhook, fact, policy, pipeline, gate. `detail` says how it stands now."""

    id: str
    kind: str
    name: str
    project: str
    detail: str


class GraphEdge(msgspec.Struct, frozen=True):
    """`source` does `label` to `target`."""

    source: str
    target: str
    label: str


class Graph(msgspec.Struct, frozen=True):
    """What starts what: schedules, facts and webhooks → policies → pipelines and gates → facts → policies."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a policy fired and what came of it, from the ledger: `sentences` for people, facts for programs."""

    firing: Firing
    because: Fact | None
    did: list[Fact]
    sentences: list[str]


def policies_in(project: str, config: Mapping[str, Any], code: str) -> Iterator[Policy]:
    """The policies that a project's loopline.yaml declares; Invalid names the one that is wrong."""
    declared = config.get("policies") or {}
    named = declared.items() if isinstance(declared, Mapping) else ((each.get("name", ""), each) for each in declared)
    for name, written in named:
        try:
            yield policy_from(project, str(name), written, config, code)
        except (msgspec.ValidationError, TypeError, AttributeError) as error:
            raise Invalid(
                f"The policy {name!r} of {project!r} is wrong: {error}.", "Mend it in loopline.yaml."
            ) from None


def policy_from(project: str, name: str, written: Mapping[str, Any], config: Mapping[str, Any], code: str) -> Policy:
    """One policy, with what its gate says about model and alias filled in."""
    gates = config.get("gates") or {}
    gate = gates.get(written.get("gate")) or {}
    pipeline = (config.get("pipelines") or {}).get(written.get("run")) or {}
    fields = {
        "project": project,
        "name": str(written.get("name") or name),
        "on": KINDS.get(str(written.get("on")), written.get("on")),
        "when": {**schedule_of(written), **(written.get("when") or {})},
        "run": written.get("run") or "",
        "file": pipeline.get("file") or "pipeline.py",
        "function": pipeline.get("function") or written.get("run") or "",
        "params": {**(pipeline.get("params") or {}), **(written.get("params") or {})},
        "gate": written.get("gate") or "",
        "model": written.get("model") or pipeline.get("registers") or gate.get("model") or "",
        "promote_to": written.get("promote_to") or gate.get("promote_to") or "",
        "deploy": written.get("deploy") or "after_approval",
        "params_from": written.get("params_from") or {},
        **{name: duration(written.get(name) or 0) for name in ("cooldown", "jitter", "repeat")},
        **{name: written[name] for name in AS_WRITTEN if written.get(name) is not None},
        "code": code,
    }
    return msgspec.convert(fields, Policy)


def schedule_of(written: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule may stand beside `on` instead of under `when`."""
    found = {"cron": written.get("cron") or written.get("schedule"), "timezone": written.get("timezone")}
    return {key: value for key, value in found.items() if value}


def duration(text: str | float) -> float:
    """Seconds for "7d", "36h", "15 min" or a number of seconds; Invalid for anything else."""
    if isinstance(text, int | float) and text >= 0:
        return float(text)
    match = _DURATION.match(str(text).strip())
    if match is None:
        raise Invalid(f"{text!r} is no duration.", 'Write it as "7d", "36h" or "15m".')
    return float(int(match[1]) * _SECONDS[match[2][0]])


def shown(seconds: float) -> str:
    """A duration as people write it."""
    for letter in ("w", "d", "h", "m"):
        if seconds and seconds % _SECONDS[letter] == 0:
            return f"{int(seconds / _SECONDS[letter])}{letter}"
    return f"{seconds:g}s"


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
    if fact.kind != policy.on or fact.actor == policy.actor:
        return False
    known = fact.body if fields is None else fields
    return asked_for(policy, known)


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
    return f"{policy.key}/alert:{alert}" if fact.kind == KINDS["alert"] and alert else f"{policy.key}/{fact.seq}"

"""Policies and firings as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from loopline.core.facts import Fact

FIRED, SKIPPED, FINISHED, FAILED = "policy.fired", "policy.skipped", "policy.finished", "policy.failed"
REQUESTED, RUNNING, DONE, FAILED_STATE, SKIPPED_STATE = "requested", "running", "done", "failed", "skipped"
SCHEDULE, WEBHOOK = "schedule", "webhook"
KINDS = {"alert": "alert.opened"}
GREW = "alert.grew"  # an incident has one more cause: for policies as if it had opened
HELD, LIFTED = "releases.held", "releases.released"
RUN_FINISHED = "run.finished"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy of an applied project: on what it fires (`on`, narrowed by `when`), what it then runs, and how far the
    result may go by itself.

    `on` is schedule, webhook or the kind of a fact. `when` names fields of the fact with the value, list of values or
    bounds that they must have; for a schedule it holds `cron` and `timezone`. `run` names the pipeline whose release in
    `environment` runs with `params`; with `do` it rolls back, holds releases or tells the channels in `notify` instead; `params_from` names params that take their value from a field of the cause.
    `cooldown`, `jitter` and `repeat` are counted in seconds. `concurrency` is how many firings run this pipeline at once,
    `when_busy` what becomes of those beyond it, `catch_up` of occasions that nobody attended to. `secret` says where the
    secret of a webhook stands. `file`, `function` and `code` (digest of the project's files) name the applied code.
    """

    project: str
    name: str
    on: str
    when: Mapping[str, Any] = {}
    do: Literal["run", "roll_back", "hold", "notify"] = "run"
    notify: tuple[str, ...] = ()
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


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Releases of a model are held: because of which alert, by which policy, since when; until `lifted_at`."""

    firing: str
    model: str
    alert: str
    endpoint: str
    project: str
    policy: str
    reason: str
    since: str
    lifted_at: str = ""
    lifted_by: str = ""


class GraphNode(msgspec.Struct, frozen=True):
    """`kind`: schedule, webhook, fact, policy, pipeline, gate, action. `detail` says how it stands now."""

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

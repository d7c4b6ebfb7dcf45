"""Frozen values of promotion: a gate's rules, its evidence, its checks and its verdict."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

import msgspec

GATE_DECIDED = "gate.decided"
APPROVAL_GIVEN = "approval.given"

Metric = Literal["auc", "accuracy", "log_loss", "brier", "mae", "mse"]
Slack = Annotated[float, msgspec.Meta(ge=0)]
Level = Annotated[float, msgspec.Meta(gt=0.5, lt=1)]


class Verdict(Enum):
    """The three answers of a check; what could not be run is neither passed nor failed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class SliceRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No value of `column` (with at least `minimum_rows` held-out rows) may be shown worse by more than the slack."""

    column: str
    minimum_rows: Annotated[int, msgspec.Meta(ge=20)] = 500
    no_worse_by: Slack = 0.0


class GateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules that guard one alias of a model (a gate in `loopline.yaml`).

    `no_worse_by`: the whole confidence interval of the gain must lie above minus this, in units of the metric.
    `better`: it must lie above `better_by` too. `minimum`: the challenger's own score must reach it (a loss must not
    exceed it). `blocks`: rows of one day (or week) count as one witness in every interval. `latency_ms`: budget for
    the 99th percentile of predicting `latency_rows` rows. `approvals` by people other than the one who registered the
    version, unless `self_approval`. `auto_promote`: the alias moves as soon as the gate passed and the approvals are
    there. `first`: whether a version may pass while the alias points nowhere.
    """

    metric: Metric = "auc"
    no_worse_by: Slack = 0.01
    better: bool = False
    better_by: Slack = 0.0
    minimum: float | None = None
    minimum_rows: Annotated[int, msgspec.Meta(ge=20)] = 200
    confidence: Level = 0.95
    blocks: Literal["day", "week"] = "day"
    slices: tuple[SliceRule, ...] = ()
    latency_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    latency_rows: Annotated[int, msgspec.Meta(ge=1)] = 1
    approvals: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    self_approval: bool = False
    auto_promote: bool = False
    first: Literal["allowed", "refused"] = "allowed"


class Estimate(msgspec.Struct, frozen=True):
    """A number with its clustered standard error and degrees of freedom (blocks - 1)."""

    value: float
    standard_error: float
    degrees: int


class SliceEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a slice column. `gain` is None with the `reason` why it was not compared."""

    column: str
    value: str
    rows: int
    blocks: int
    challenger: float | None = None
    champion: float | None = None
    gain: Estimate | None = None
    reason: str = ""


class LatencyEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of single predictions of `rows` held-out rows in this process, in milliseconds."""

    rows: int
    calls: int
    p50_ms: float
    p99_ms: float


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that a verdict follows from; `gain` is challenger minus champion, turned so that more is better.

    `score` and `champion_score` are the plain metric. `not_compared` says why there is no gain. `digest` is the
    challenger's: a name may be given to another version one day.
    """

    metric: Metric
    challenger: int
    champion: int | None
    digest: str = ""
    rows: int = 0
    positives: int = 0
    blocks: int = 0
    held_out_from: str = ""
    held_out_until: str = ""
    score: float | None = None
    champion_score: float | None = None
    gain: Estimate | None = None
    not_scored: str = ""
    not_compared: str = ""
    slices: tuple[SliceEvidence, ...] = ()
    latency: LatencyEvidence | None = None
    notes: tuple[str, ...] = ()


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a gate. `evidence` holds the numbers behind it (interval, slices); `required` ones must run."""

    name: str
    verdict: Verdict
    value: float | None = None
    limit: float | None = None
    reason: str = ""
    required: bool = True
    evidence: dict[str, float | str | None] = {}


class Decision(msgspec.Struct, frozen=True):
    """What follows from the evidence."""

    verdict: Verdict
    checks: tuple[CheckResult, ...]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A gate as it was decided, for ever."""

    id: str
    model: str
    version: int
    alias: str
    champion: int | None
    verdict: Verdict
    checks: tuple[CheckResult, ...]
    evidence: Evidence
    config: GateConfig
    decided_at: str
    decided_by: str


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One person's yes to the evidence of one gate."""

    gate: str
    model: str
    version: int
    alias: str
    note: str
    given_at: str
    given_by: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a candidate stands: its newest gate, who said yes, what is missing, and whether it was promoted."""

    model: str
    version: int
    alias: str
    gate: Gate | None
    approvals: tuple[Approval, ...]
    missing: str
    promoted: bool

"""`loopline.yaml` as types, and the rules that go beyond types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from loopline.core.performance import PerformanceMetric

APPLIED = "project.applied"
CONFIG_FILE = "loopline.yaml"
LARGEST_FILE = 5_000_000
MOST_FILES = 2_000

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Scalar = str | int | float | bool | None
Duration = Text | Annotated[int, msgspec.Meta(ge=0)] | Annotated[float, msgspec.Meta(ge=0)]
Places = Annotated[int, msgspec.Meta(ge=1, le=64)]
CatchUp = Literal["skip", "one", "all"]
Variable = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$")]
EnvironmentCheck = Literal["tests", "verify", "contract"]
CHECKS: tuple[EnvironmentCheck, ...] = ("tests", "verify", "contract")
Metric = Literal["auc", "accuracy", "log_loss", "brier", "mae", "mse"]
Outcome = Literal["true_positive", "false_positive", "true_negative", "false_negative"]


class DatasetEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A dataset: a `folder` of Parquet and CSV files (from the project's folder), or a `query` on the database at `url`.

    `contract` is `file.py:name`; `event_time` and `key` name columns.
    """

    folder: Text | None = None
    url: Text | None = None
    query: Text | None = None
    contract: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_./-]+\.py:[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    event_time: Text | None = None
    key: Text | None = None
    description: str = ""


class BindingEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a dataset comes from in one environment: as in `DatasetEntry`; contract and columns stay the dataset's."""

    folder: Text | None = None
    url: Text | None = None
    query: Text | None = None


class SecretEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a secret is read when a run starts: the variable `env` of the process, or the file at the path `file`."""

    env: Variable | None = None
    file: Text | None = None


class EnvironmentEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one environment replaces of the file; all else it takes as it stands there.

    `datasets`: other sources. `params`: defaults of the parameters of every pipeline, or, under the name of a
    pipeline, of that one. `secrets`: environment variables of every step. `approvals`: how many people must approve a
    release. `checks`: what a release must pass to come here (default: all).
    """

    datasets: dict[Name, BindingEntry] = {}
    params: dict[Variable, Scalar | dict[Variable, Scalar]] = {}
    secrets: dict[Variable, SecretEntry] = {}
    approvals: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    checks: list[EnvironmentCheck] | None = None
    description: str = ""


class PipelineEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A pipeline: the `function` (default: the name of the entry) in `file`; `registers` names the model it makes."""

    file: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_./-]+\.py$")] = "pipeline.py"
    function: Text | None = None
    registers: Name | None = None
    description: str = ""


class ModelEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What people should know about a registered model."""

    description: str = ""
    owner: str = ""
    label: str = ""


class SliceEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A column of which no value may become worse by more than `no_worse_by`."""

    column: Text
    minimum_rows: Annotated[int, msgspec.Meta(ge=20)] | None = None
    no_worse_by: Annotated[float, msgspec.Meta(ge=0)] | None = None


class GateEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a version must show before the alias `promote_to` of `model` moves to it."""

    model: Name
    promote_to: Name
    metric: Metric | None = None
    no_worse_by: Annotated[float, msgspec.Meta(ge=0)] | None = None
    better: bool | None = None
    better_by: Annotated[float, msgspec.Meta(ge=0)] | None = None
    minimum: float | None = None
    minimum_rows: Annotated[int, msgspec.Meta(ge=20)] | None = None
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] | None = None
    blocks: Literal["day", "week"] | None = None
    slices: list[Text | SliceEntry] = []
    slice_minimum: Annotated[int, msgspec.Meta(ge=20)] | None = None
    latency_ms: Positive | None = None
    latency_rows: Count | None = None
    approvals: Annotated[int, msgspec.Meta(ge=0, le=9)] | None = None
    self_approval: bool | None = None
    auto_promote: bool | None = None
    first: Literal["allowed", "refused"] | None = None


class EndpointEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An address that serves what the alias of a model points to; each move of the alias is deployed.

    `options` say how it serves (as `loopline endpoint options`); where they are declared, all others are at their defaults.
    """

    model: Name
    alias: Name | None = None
    key: Text | None = None
    event_time: Text | None = None
    options: dict[Text, Any] | None = None
    description: str = ""


class QualityLimit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A limit that a mature window must not fall below; `over` names the input that the metric `lead` compares with."""

    metric: PerformanceMetric | Literal["lead"]
    over: Text | None = None
    lower_limit: float | None = None


class DataQuality(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Largest shares of a window's rows that may be wrong in one column."""

    missing_share: Share | None = None
    unknown_share: Share | None = None
    out_of_contract_share: Share | None = None


class DriftEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What inputs and predictions are compared with, how far each may move, and whether that wakes someone."""

    alert: bool = False
    reference: Literal["trained", "fixed", "sliding", "same_weekday"] | None = None
    start: Text | None = None
    end: Text | None = None
    periods: Annotated[int, msgspec.Meta(ge=2, le=400)] | None = None
    tolerance: dict[Text, Annotated[float, msgspec.Meta(ge=0)]] = {}
    columns: list[Text] = []
    false_alarms: Annotated[float, msgspec.Meta(gt=0, le=0.5)] | None = None
    classifier: bool = False


class EstimateEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Performance before its truth has arrived: `off`, or whether it wakes someone."""

    off: bool = False
    alert: bool = False


class AlarmEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How many false alarms a quarter are bearable; limits that nobody wrote are set so."""

    per_quarter: Positive | None = None


class HeartbeatEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """After how many hours predictions are called silent, and truth missing; 0 for never."""

    silent_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None
    truth_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None


class ChannelEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where alerts are sent: the address, as Apprise writes it, stands in the variable `env` of the server's process or in
    the file at the path `file`. No more than `per_hour` messages an hour are sent."""

    env: Variable | None = None
    file: Text | None = None
    per_hour: Count | None = None
    description: str = ""


class MonitorEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is watched on an endpoint, by windows of event time."""

    endpoint: Name
    window: Literal["hour", "day", "week", "month"] | None = None
    metric: PerformanceMetric | None = None
    metrics: list[PerformanceMetric] = []
    lower_limit: float | None = None
    baseline: str | None = None
    quality: list[QualityLimit] = []
    threshold: Share | None = None
    costs: dict[Outcome, float] = {}
    group: Text | None = None
    top: Count | None = None
    minimum_labels: Count | None = None
    minimum_rows: Count | None = None
    slices: list[Text] = []
    protected: list[Text] = []
    data_quality: DataQuality | None = None
    missing_share: Share | None = None
    unknown_share: Share | None = None
    drift: DriftEntry | None = None
    estimates: EstimateEntry | None = None
    alarms: AlarmEntry | None = None
    heartbeat: HeartbeatEntry | None = None
    notify: list[Name] = []
    latency_ms: Positive | None = None
    error_share: Share | None = None
    consecutive: Count | None = None
    label_delay_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None


class PolicyEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """On what it fires (`alert`, `schedule`, `webhook`, or a kind of fact, narrowed by `when`), what it runs, which gate
    judges the result, and whether that is deployed by itself. Instead it may answer an alert otherwise (`do`): `roll_back`
    the endpoint, `hold` releases of the model until the alert is resolved, `notify` the channels that it names.
    `params_from` takes params from fields of the cause; `concurrency` limits how many firings run the pipeline at once, `when_busy` says what becomes of the others."""

    on: Annotated[str, msgspec.Meta(pattern=r"^(alert|schedule|webhook|[a-z]+\.[a-z_]+)$")]
    when: dict[str, Any] = {}
    cron: Text | None = None
    timezone: Text | None = None
    do: Literal["run", "roll_back", "hold", "notify"] | None = None
    run: Name | None = None
    environment: Name | None = None
    params: dict[str, Scalar] = {}
    gate: Name | None = None
    notify: list[Name] = []
    model: Name | None = None
    promote_to: Name | None = None
    deploy: Literal["automatic", "after_approval"] = "after_approval"
    cooldown: Duration | None = None
    catch_up: CatchUp | None = None
    jitter: Duration | None = None
    concurrency: Places | None = None
    when_busy: Literal["queue", "skip"] | None = None
    paused: bool = False
    repeat: Duration | None = None
    secret: SecretEntry | None = None
    params_from: dict[str, Text] = {}
    description: str = ""


class ScheduleEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A pipeline run by the clock. `catch_up` says what becomes of occasions that were missed, `jitter` by how much each
    may come later."""

    cron: Text
    run: Name
    timezone: Text | None = None
    environment: Name | None = None
    params: dict[str, Scalar] = {}
    gate: Name | None = None
    deploy: Literal["automatic", "after_approval"] = "after_approval"
    cooldown: Duration | None = None
    catch_up: CatchUp | None = None
    jitter: Duration | None = None
    concurrency: Places | None = None
    when_busy: Literal["queue", "skip"] | None = None
    paused: bool = False


class RetentionEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which runs of an experiment are kept: the best `keep_best` by the metric `by` (the `lowest` ones), those that ended
    within `keep_days` days, those with a tag ("name" or "name=value"); and what is used, always."""

    keep_best: Annotated[int, msgspec.Meta(ge=1)] | None = None
    by: Text | None = None
    lowest: bool = False
    keep_days: Annotated[int, msgspec.Meta(ge=1)] | None = None
    keep_tagged: list[Text] = []


class Config(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All that a project declares in `loopline.yaml`."""

    project: Name
    owner: str = ""
    description: str = ""
    critical_metrics: Annotated[list[Text], msgspec.Meta(max_length=2)] = []
    self_approval: bool = False
    environments: dict[Name, EnvironmentEntry | None] = {}
    datasets: dict[Name, DatasetEntry] = {}
    pipelines: dict[Name, PipelineEntry | None] = {}
    models: dict[Name, ModelEntry | None] = {}
    gates: dict[Name, GateEntry] = {}
    endpoints: dict[Name, EndpointEntry] = {}
    monitors: dict[Name, MonitorEntry] = {}
    policies: dict[Name, PolicyEntry] = {}
    schedules: dict[Name, ScheduleEntry] = {}
    retention: dict[Text, RetentionEntry] = {}
    channels: dict[Name, ChannelEntry] = {}


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A project's folder as data: its configuration, its contracts by dataset, its files by name."""

    config: dict[str, Any]
    contracts: dict[str, dict[str, Any]]
    files: dict[str, bytes]
    folder: str


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as last applied, with fact number `seq`. `config` is what loopline.yaml says; `code_digest` names all its
    files."""

    name: str
    owner: str
    folder: str
    config: dict[str, Any]
    contracts: dict[str, dict[str, Any]]
    code_digest: str
    applied_at: str
    applied_by: str
    seq: int = 0


def gate_rules(config: dict[str, Any], gate: dict[str, Any]) -> dict[str, Any]:
    """A gate as promotion's rules: without its address, slices spelt out, self-approval as the project says."""
    rules = {key: value for key, value in gate.items() if key not in ("model", "promote_to", "slice_minimum")}
    default = gate.get("slice_minimum")
    if "slices" in gate:
        spelt = [{"column": entry} if isinstance(entry, str) else dict(entry) for entry in gate["slices"]]
        rules["slices"] = [({"minimum_rows": default} if default else {}) | entry for entry in spelt]
    if config.get("self_approval") and "self_approval" not in gate:
        rules["self_approval"] = True
    return rules


def monitor_rules(monitor: dict[str, Any]) -> dict[str, Any]:
    """A monitor as monitoring's rules: without its address, shares gathered under `data_quality`."""
    shares = ("missing_share", "unknown_share")
    rules = {key: value for key, value in monitor.items() if key not in ("endpoint", *shares)}
    beside = {key: monitor[key] for key in shares if key in monitor}
    if beside:
        rules["data_quality"] = beside | rules.get("data_quality", {})
    return rules


def telling(config: dict[str, Any], channel: str) -> list[str]:
    """The endpoints whose monitors name a channel."""
    monitors = (config.get("monitors") or {}).values()
    return sorted({monitor["endpoint"] for monitor in monitors if channel in (monitor.get("notify") or ())})


def policies_of(config: dict[str, Any]) -> dict[str, Any]:
    """Policies and schedules together: a schedule is a policy that fires by the clock."""
    schedules = {name: {"on": "schedule", **entry} for name, entry in (config.get("schedules") or {}).items()}
    return {**schedules, **(config.get("policies") or {})}

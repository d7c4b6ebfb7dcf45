"""What is watched on an endpoint, as it is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from loopline.core.performance import LOSSES, PerformanceMetric

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Period = Literal["hour", "day", "week", "month"]
PERIODS: tuple[Period, ...] = ("hour", "day", "week", "month")


class QualityRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Largest shares of a window's rows that may be wrong in one column; None asks nothing.

    `missing_share` is allowed beyond the training profile's own share, `unknown_share` is for values never seen in
    training, `out_of_contract_share` for infinite numbers and empty places in a column that must not have them.
    """

    missing_share: Share | None = None
    unknown_share: Share | None = None
    out_of_contract_share: Share | None = None


class QualityLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One more limit for mature windows. The metric "lead" is the AUC of the predictions less that of the input `over`
    taken as a forecast (an empty value counts as its median)."""

    metric: PerformanceMetric | Literal["lead"]
    over: str | None = None
    lower_limit: float | None = None

    def __post_init__(self) -> None:
        if (self.metric == "lead") != (self.over is not None):
            raise ValueError("`over` names the input that the metric lead compares with, and belongs to lead alone")


class DriftRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What inputs and predictions are compared with, and what of it wakes someone.

    `reference`: the rows that the live version was "trained" on, "fixed" (from `start` until `end`, dates of event
    time), "sliding" (the last `periods` windows) or "same_weekday" (the same weekday or hour of the week in the last
    `periods` weeks). `tolerance` is how far a column's mean (numbers, in its units) or a share (text, 0 to 1) may move
    without anyone caring. `columns`: only these; all otherwise. `false_alarms`: the share of normal windows whose report
    may be called unusual by chance. `alert`: an unusual window opens an alert, otherwise it is only shown. `classifier`:
    also ask a model to tell rows then from rows now.
    """

    alert: bool = False
    reference: Literal["trained", "fixed", "sliding", "same_weekday"] = "trained"
    start: str = ""
    end: str = ""
    periods: Annotated[int, msgspec.Meta(ge=2, le=400)] = 8
    tolerance: Mapping[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    columns: tuple[str, ...] = ()
    false_alarms: Annotated[float, msgspec.Meta(gt=0, le=0.5)] = 0.01
    classifier: bool = False


class EstimateRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Performance before truth: `off` for none; `alert` opens one when the whole interval of an estimate is beyond the
    limit of its metric."""

    off: bool = False
    alert: bool = False


class AlarmBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many false alarms a quarter (91 days of event time) are bearable. Limits that nobody wrote are set so by
    replaying history; `per_quarter` None leaves them as they are."""

    per_quarter: Positive | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After how many hours without a prediction an endpoint is called silent, and without any truth (beyond the usual
    label delay) truth is called missing. None: learned from its own history; 0: never."""

    silent_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None
    truth_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None


class MonitorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is watched on one endpoint (a monitor in `loopline.yaml`).

    `lower_limit`: an alert opens when the metric of a mature window is below it (above it for a loss). Without it the
    limit is the metric called `baseline` of the live model version, by default `<window>ly_<metric>_low`
    ("weekly_auc_low", or "…_high" for a loss): the edge of its rolling-origin interval. `consecutive` windows in a row
    must agree. `quality` lists further limits, or other ones: with it the metric itself is judged only where `lower_limit`
    or `baseline` says so. `label_delay_hours` replaces the delay learned from the data. `latency_ms` bounds the 99th percentile.

    `metrics` are computed and shown beside `metric`, and wake nobody. `threshold` turns a probability into a decision;
    `costs` are per row: true_positive, false_positive, true_negative, false_negative. `group` is the input (or "key")
    whose rows are ranked together, `top` how many of them count. `slices` are columns by whose values everything is told;
    `protected` those by which fairness is. `notify` names channels; `pause` stops alerts (not the computing).
    """

    window: Period = "week"
    metric: PerformanceMetric = "auc"
    metrics: tuple[PerformanceMetric, ...] = ()
    lower_limit: float | None = None
    baseline: str = ""
    quality: tuple[QualityLimit, ...] = ()
    threshold: Share = 0.5
    costs: Mapping[Literal["true_positive", "false_positive", "true_negative", "false_negative"], float] = {}
    group: str = ""
    top: Count = 10
    minimum_labels: Count = 200
    minimum_rows: Count = 100
    slices: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    data_quality: QualityRules = QualityRules()
    drift: DriftRules = DriftRules()
    estimates: EstimateRules = EstimateRules()
    alarms: AlarmBudget = AlarmBudget()
    heartbeat: Heartbeat = Heartbeat()
    notify: tuple[str, ...] = ()
    latency_ms: Positive | None = None
    error_share: Share | None = None
    consecutive: Count = 1
    label_delay_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None


def baseline_name(window: str, metric: str) -> str:
    """The version's metric that serves as the limit when none is written."""
    period = {"hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly"}[window]
    return f"{period}_{metric}_{'high' if metric in LOSSES else 'low'}"


def limits_of(config: MonitorConfig, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The limit of each metric that is judged: the one written down, else the live version's baseline."""
    found = {
        entry.metric: metrics.get(baseline_name(config.window, entry.metric))
        if entry.lower_limit is None
        else entry.lower_limit
        for entry in config.quality
    }
    if config.lower_limit is not None:
        found[config.metric] = config.lower_limit
    elif config.baseline or not config.quality:
        found[config.metric] = metrics.get(config.baseline or baseline_name(config.window, config.metric))
    return {metric: float(limit) for metric, limit in found.items() if limit is not None}


def shown_metric(config: MonitorConfig) -> str:
    """The metric that stands for the endpoint: the first one that has a limit of its own."""
    return config.metric if config.lower_limit is not None or not config.quality else config.quality[0].metric

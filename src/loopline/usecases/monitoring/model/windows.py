"""Frozen values of monitoring: a monitor's rules, its windows, alerts and summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

ALERT_OPENED = "alert.opened"
ALERT_ACKNOWLEDGED = "alert.acknowledged"
ALERT_RESOLVED = "alert.resolved"
OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"
LOSSES = frozenset({"log_loss", "brier", "mae", "mse"})

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


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

    metric: Literal["auc", "accuracy", "log_loss", "brier", "mae", "mse", "lead"]
    over: str | None = None
    lower_limit: float | None = None

    def __post_init__(self) -> None:
        if (self.metric == "lead") != (self.over is not None):
            raise ValueError("`over` names the input that the metric lead compares with, and belongs to lead alone")


class MonitorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is watched on one endpoint (a monitor in `loopline.yaml`).

    `lower_limit`: an alert opens when the metric of a mature window is below it (above it for a loss). Without it the
    limit is the metric called `baseline` of the live model version, by default `<window>ly_<metric>_low`
    ("weekly_auc_low", or "…_high" for a loss): the edge of its rolling-origin interval. `consecutive` windows in a row
    must agree. `quality` lists further limits, or other ones: with it the metric itself is judged only where `lower_limit`
    or `baseline` says so. `label_delay_hours` replaces the delay learned from the data. `latency_ms` bounds the 99th percentile.
    """

    window: Literal["day", "week"] = "week"
    metric: Literal["auc", "accuracy", "log_loss", "brier", "mae", "mse"] = "auc"
    lower_limit: float | None = None
    baseline: str = ""
    quality: tuple[QualityLimit, ...] = ()
    minimum_labels: Count = 200
    minimum_rows: Count = 100
    slices: tuple[str, ...] = ()
    data_quality: QualityRules = QualityRules()
    latency_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    error_share: Share | None = None
    consecutive: Count = 1
    label_delay_hours: Annotated[float, msgspec.Meta(ge=0)] | None = None


class LabelDelay(msgspec.Struct, frozen=True, kw_only=True):
    """How long truth takes after the event (hours) and the share of predictions that ever get one.

    `settled` once enough predictions are older than the longest delay seen; None without any truth.
    """

    p50_hours: float | None = None
    p90_hours: float | None = None
    p99_hours: float | None = None
    expected_share: float | None = None
    settled: bool = False


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One day or week of an endpoint: all of it (`column` ""), one model version (`column` "version") or one slice.

    `complete`: the watermark is past its end. `mature`: it is past the end plus the label delay, so hardly any truth
    is still to come. Before that its metrics are provisional. `metrics` has auc, auc_low, auc_high, log_loss, brier,
    accuracy, label_mean, predicted_mean, latency_p99_ms, error_share, … as far as they exist; `quality` (only where
    `column` is "") has shares by input: {"missing": {input: share}, "unknown": …, "out_of_contract": …}.
    """

    start: str
    end: str
    column: str
    value: str
    predictions: int
    labelled: int
    complete: bool
    mature: bool
    metrics: dict[str, float]
    quality: dict[str, dict[str, float]] = {}

    @property
    def truth_share(self) -> float:
        """The share of its predictions whose truth has arrived."""
        return self.labelled / self.predictions if self.predictions else 0.0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's monitoring at a glance. Times are those of the event clock. `metric` is the one that stands for the
    endpoint, `limit` its limit; `limits` has those of all metrics that are judged; `judged` says up to which
    window each cause of alerts has been looked at."""

    endpoint: str
    window: str
    metric: str
    model: str
    version: int | None
    limit: float | None
    limits: dict[str, float] = {}
    watermark: str
    predictions: int
    labelled: int
    truth_records: int
    duplicates: int
    corrections: int
    orphans: int
    label_delay: LabelDelay
    mature_windows: int
    provisional_windows: int
    mature_until: str
    judged: dict[str, str] = {}


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One incident: an endpoint, a cause, since which window, until which it was still seen.

    `cause`: performance, data_quality, latency or errors. `value` against `limit` in the last window that showed it.
    """

    id: str
    endpoint: str
    cause: str
    state: str
    model: str
    version: int | None
    first_window: str
    last_window: str
    value: float | None
    limit: float | None
    message: str
    opened_at: str
    changed_at: str
    changed_by: str
    note: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one window says about one cause: "wrong" (with enough windows in a row before it), "well", or "wait" (wrong,
    but not yet often enough). `first_window` is where the run of wrong windows begins; `version` served the window."""

    cause: str
    state: Literal["wrong", "well", "wait"]
    first_window: str
    window: str
    version: int | None
    value: float | None
    limit: float | None
    message: str


def baseline_name(window: str, metric: str) -> str:
    """The version's metric that serves as the limit when none is written."""
    period = {"day": "daily", "week": "weekly"}[window]
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

"""Frozen values of monitoring: windows, the delay of truth, and an endpoint at a glance."""

from __future__ import annotations

import msgspec


class LabelDelay(msgspec.Struct, frozen=True, kw_only=True):
    """How long truth takes after the event (hours) and the share of predictions that ever get one.

    The p-th quantile is the time by which that part of the truth that ever comes has come. `settled` once enough
    predictions are older than the longest delay seen; None without any truth. `shares[i]` of all predictions have truth
    `hours[i]` after their event (increasing, both empty while nothing is known); beyond the last hour nothing is known yet.
    """

    p50_hours: float | None = None
    p90_hours: float | None = None
    p99_hours: float | None = None
    expected_share: float | None = None
    settled: bool = False
    hours: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()


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
    window each cause of alerts has been looked at; `inputs` are those of the version in use."""

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
    inputs: tuple[str, ...] = ()

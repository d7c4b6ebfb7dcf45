"""All monitored models as one list: what each needs, the neediest first. Pure rules; no numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from loopline.core.performance import LOSSES
from loopline.core.times import to_ms

FleetState = Literal["alert", "acknowledged", "near_limit", "silent", "provisional", "fine"]
STATES: tuple[FleetState, ...] = ("alert", "acknowledged", "near_limit", "silent", "provisional", "fine")
PERIOD_MS = {"hour": 3_600_000, "day": 86_400_000, "week": 7 * 86_400_000, "month": 31 * 86_400_000}
NEAR_SHARE = 0.02
MOST_POINTS = 30


class FleetMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of the newest mature window (else the newest one) with its 95 % interval and its limit, as far as they
    exist. `points` are its values by window, oldest first; the last `provisional` of them may still change."""

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    points: list[float | None] = []
    provisional: int = 0


class FleetEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What performance is thought to be in the newest window whose truth has not arrived."""

    metric: str
    window: str
    value: float
    low: float | None = None
    high: float | None = None


class FleetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model at a glance. `alerts` are unresolved ones, `causes` theirs; `since` is where the oldest of them began.
    `evaluated_at` is the moment (wall clock) at which something new was last evaluated. `why` says the state in words."""

    endpoint: str
    model: str
    version: int | None
    state: FleetState
    why: str
    window: str
    metrics: list[FleetMetric]
    estimate: FleetEstimate | None
    alerts: int
    causes: list[str]
    since: str
    predictions: int
    labelled: int
    watermark: str
    mature_until: str
    evaluated_at: str


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the list. `counts` are of all models that the search found, by state; `found` those in the state asked for."""

    total: int
    found: int
    counts: dict[str, int]
    page: int
    pages: int
    rows: list[FleetRow]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Of a stored `Summary` what the list needs: less to read, a thousand times."""

    endpoint: str
    window: str
    metric: str
    model: str
    version: int | None
    limits: dict[str, float] = {}
    watermark: str
    predictions: int
    labelled: int
    mature_windows: int
    mature_until: str


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one endpoint: its summary, when that was written, and metrics of its newest mature window."""

    summary: Stored
    evaluated_at: str
    metrics: dict[str, float] = {}


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """The unresolved alerts of one endpoint."""

    count: int = 0
    acknowledged: int = 0
    causes: tuple[str, ...] = ()
    since: str = ""


def shown_metrics(summary: Stored, critical: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """The one or two metrics that stand for an endpoint: those that its project calls critical, else the monitor's own."""
    named = [name for name in critical if name in known or name in summary.limits]
    return (named or [summary.metric])[:2]


def shown_estimate(
    summary: Stored, metrics: Sequence[FleetMetric], estimates: Sequence[FleetEstimate]
) -> FleetEstimate | None:
    """The estimate of the first metric that stands for an endpoint, else of one that has a limit."""
    by_metric = {one.metric: one for one in estimates}
    wanted = [*(metric.name for metric in metrics), *summary.limits]
    return next((by_metric[name] for name in wanted if name in by_metric), None)


def state_of(
    newest: Newest, trouble: Trouble, metrics: Sequence[FleetMetric], estimate: FleetEstimate | None, now_ms: int
) -> tuple[FleetState, str]:
    """What a model needs, and why."""
    if trouble.count > trouble.acknowledged:
        return "alert", f"{_listed(trouble.causes)} since {trouble.since[:10]}"
    if trouble.count:
        return "acknowledged", f"{_listed(trouble.causes)} since {trouble.since[:10]}, looked after"
    near = [told for told in (near_limit(metric) for metric in metrics) if told] + _estimated(estimate, newest.summary)
    if near:
        return "near_limit", near[0]
    quiet = now_ms - to_ms(newest.evaluated_at)
    if quiet > 2 * PERIOD_MS[newest.summary.window]:
        return "silent", f"nothing new for {_ago(quiet)}"
    if not newest.summary.mature_windows:
        return "provisional", "no window is mature yet"
    return "fine", f"mature until {newest.summary.mature_until[:10]}"


def near_limit(metric: FleetMetric) -> str:
    """Why a metric is near its limit, or '': its interval reaches over it, or without one it is within 2 % of it."""
    if metric.limit is None or metric.value is None:
        return ""
    beyond = metric.value > metric.limit if metric.name in LOSSES else metric.value < metric.limit
    if beyond:
        return f"{metric.name} is beyond its limit"
    edge = metric.high if metric.name in LOSSES else metric.low
    reach = abs(metric.value - edge) if edge is not None else NEAR_SHARE * abs(metric.limit)
    return f"{metric.name} is near its limit" if abs(metric.value - metric.limit) < reach else ""


def ordered(rows: Sequence[FleetRow]) -> list[FleetRow]:
    """Who needs a look first: by state, then more alerts, then by how close the first metric is to its limit."""
    return sorted(rows, key=lambda row: (STATES.index(row.state), -row.alerts, _room(row), row.endpoint))


def _room(row: FleetRow) -> float:
    found = [m for m in row.metrics if m.limit is not None and m.value is not None]
    if not found or found[0].limit is None or found[0].value is None:
        return float("inf")
    room = found[0].value - found[0].limit
    return (-room if found[0].name in LOSSES else room) / (abs(found[0].limit) or 1.0)


def _estimated(estimate: FleetEstimate | None, summary: Stored) -> list[str]:
    limit = None if estimate is None else summary.limits.get(estimate.metric)
    if estimate is None or limit is None:
        return []
    told = FleetMetric(name=estimate.metric, value=estimate.value, low=estimate.low, high=estimate.high, limit=limit)
    return [f"estimated {why}" for why in [near_limit(told)] if why]


def _listed(causes: Sequence[str]) -> str:
    return ", ".join(cause.replace("_", " ") for cause in causes)


def _ago(quiet_ms: int) -> str:
    hours = quiet_ms // 3_600_000
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"

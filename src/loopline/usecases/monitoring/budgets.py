"""The limits that an alert budget leads to. Imports numpy only when limits are chosen anew."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model import Alert, Finding, MonitorConfig, Window, findings, limits_of
from loopline.usecases.monitoring.model.alerts import Precision
from loopline.usecases.monitoring.model.budget.results import QUARTER_DAYS, Choice
from loopline.usecases.monitoring.store import alerts as alert_store
from loopline.usecases.monitoring.store import budgets as store

LEAST_WINDOWS, MOST_WINDOWS = 8, 800
DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": QUARTER_DAYS / 3}
Read = Callable[[Callable[[Transaction], Any]], Any]


@dataclass(frozen=True)
class Situation:
    """An endpoint as it is just now: all its windows, the version that serves, which served when each window was judged,
    the metrics of the live one, its usual missing shares, and up to which window performance has been judged."""

    endpoint: str
    config: MonitorConfig
    windows: Sequence[Window]
    live: tuple[str, int | None]
    live_at: Mapping[str, int | None]
    metrics: Mapping[str, Any]
    usual: Mapping[str, float]
    judged_until: str = ""


@dataclass(frozen=True)
class Chosen:
    """What to judge by. `choice` says why, and is None without a budget; `keep` writes it where it is new."""

    limits: dict[str, float]
    config: MonitorConfig
    choice: Choice | None = None
    fresh: bool = False

    def keep(self, tx: Transaction, at: str) -> None:
        """Write the choice in the transaction of the evaluation."""
        if self.choice is not None and self.fresh:
            store.put_choice(tx, self.choice, at)


def chosen(read: Read, now: Situation) -> Chosen:
    """The limits of all metrics that are judged: those that are written, else those that the budget leads to, else the
    live version's baseline. The configuration in the answer has the `consecutive` that belongs to them.

    Chosen anew at most once a window, from windows that were judged before; never while an alert on performance is
    open, and without the windows of alerts that are open or were judged real.
    """
    defaults = limits_of(now.config, now.metrics)
    if now.config.alarms.per_quarter is None or not unwritten(now.config):
        return Chosen(defaults, now.config)
    standing, alerts = read(lambda tx: (store.choice(tx, now.endpoint), alert_store.alerts(tx, now.endpoint, "", 1000)))
    basis = basis_of(now)
    if standing is not None and (standing.basis == basis or (standing.limits and _open(alerts))):
        return _as_chosen(defaults, now.config, standing, False)
    return _as_chosen(defaults, now.config, choose(now, alerts, basis), True)


def choose(now: Situation, alerts: Sequence[Alert], basis: str = "") -> Choice:
    """The choice itself, from what is in `now`; its `note` says why there are no limits, where there are none."""
    per_quarter = now.config.alarms.per_quarter or 0.0
    judged, left_out = history(now, alerts)
    found = Choice(
        endpoint=now.endpoint,
        per_quarter=per_quarter,
        consecutive=now.config.consecutive,
        until=judged[-1].start if judged else "",
        windows=len(judged),
        left_out=left_out,
        precision=precision(now.endpoint, alerts),
        basis=basis,
    )
    metrics = [name for name in unwritten(now.config) if judged and all(name in one.metrics for one in judged)]
    if len(judged) < LEAST_WINDOWS or not metrics:
        return msgspec.structs.replace(found, note=_too_little(now, len(judged), metrics))
    return _weighed(found, now, judged, metrics)


def unwritten(config: MonitorConfig) -> list[str]:
    """The metrics that are judged without a limit (or a baseline) that someone wrote."""
    names = [entry.metric for entry in config.quality if entry.lower_limit is None]
    own = config.lower_limit is None and not config.baseline and not config.quality
    return list(dict.fromkeys([*names, config.metric] if own else names))


def unasked(config: MonitorConfig) -> str:
    """Why no limit is sought; "" where one is."""
    if config.alarms.per_quarter is None:
        return "No budget is written: `alarms: {per_quarter: 1}` in the monitor sets limits by it."
    return "" if unwritten(config) else "Every metric that is judged has a written limit, which stays as it is."


def history(now: Situation, alerts: Sequence[Alert]) -> tuple[list[Window], int]:
    """The windows that performance was judged on and that speak of normal times, and how many were left out."""
    config = now.config
    live = [w for w in now.windows if w.column == "version" and w.mature and w.value == str(now.live_at.get(w.start))]
    judged = sorted((w for w in live if w.labelled >= config.minimum_labels), key=lambda window: window.start)
    judged = [w for w in judged if w.start <= now.judged_until] if now.judged_until else judged[:-1]
    bad = [one for one in alerts if one.state != "resolved" or one.verdict == "real"]
    kept = [w for w in judged if not any(one.first_window <= w.start <= one.last_window for one in bad)]
    return kept[-MOST_WINDOWS:], len(judged) - len(kept)


def basis_of(now: Situation) -> str:
    """A text that differs when limits are due to be chosen anew."""
    until = now.judged_until or max((w.start for w in now.windows if w.column == "version" and w.mature), default="")
    rules = zlib.crc32(msgspec.json.encode(now.config))
    return f"{until} {now.live[0]}/{now.live[1]} {rules:08x}"


def precision(endpoint: str, alerts: Sequence[Alert]) -> Precision:
    """Of past alerts, how many people judged, and how many of these were real."""
    judged = [one for one in alerts if one.verdict]
    real = sum(one.verdict == "real" for one in judged)
    share = real / len(judged) if judged else None
    return Precision(endpoint=endpoint, alerts=len(alerts), judged=len(judged), real=real, share=share)


def _weighed(found: Choice, now: Situation, judged: Sequence[Window], metrics: Sequence[str]) -> Choice:
    from loopline.usecases.monitoring.model.budget.choosing import DROP, LAW, Past, weighed

    quarter = QUARTER_DAYS / DAYS[now.config.window]
    nominal = now.config.drift.false_alarms * quarter if now.config.drift.alert else 0.0
    past = Past(
        values={name: [one.metrics[name] for one in judged] for name in metrics},
        versions=[one.value for one in judged],
        wrong=_wrong(now, judged),
        live=str(now.live[1]),
        quarter=quarter,
    )
    tried = (1, 2, 3) if _free(now.config) else (now.config.consecutive,)
    spare = max(found.per_quarter - nominal, 0.1 * found.per_quarter)
    result = weighed(past, spare, tried)
    best = result.options[0]
    by_cause = result.by_cause | ({"drift": nominal} if nominal else {})
    rules = (
        "; the rules that are written use the budget up alone"
        if result.crowded or spare > found.per_quarter - nominal
        else ""
    )
    return msgspec.structs.replace(
        found,
        limits=best.limits,
        consecutive=best.consecutive,
        expected=best.expected + nominal,
        by_cause=by_cause,
        drop={name: DROP * result.levels.spread[name] for name in metrics},
        delay=best.delay,
        level=result.levels.level,
        spread=result.levels.spread,
        options=result.options,
        law=LAW,
        note=f"{len(judged)} windows of history{rules}",
    )


def _wrong(now: Situation, judged: Sequence[Window]) -> dict[str, list[bool]]:
    """By cause, in which of the judged windows a written rule is broken."""
    single = msgspec.structs.replace(now.config, consecutive=1)
    written = {name: limit for name, limit in limits_of(single, {}).items() if name not in unwritten(now.config)}
    found: list[Finding] = findings(now.windows, single, written, now.live_at, now.usual)
    bad = {(one.cause, one.window) for one in found if one.state == "wrong"}
    names = sorted({cause for cause, _ in bad})
    return {
        f"{cause} (written)" if cause == "performance" else cause: [(cause, one.start) in bad for one in judged]
        for cause in names
    }


def _free(config: MonitorConfig) -> bool:
    """Whether nothing but performance is judged, so that `consecutive` may be chosen for it alone."""
    rules = (
        config.data_quality.missing_share,
        config.data_quality.unknown_share,
        config.latency_ms,
        config.error_share,
    )
    alerting = config.drift.alert or config.estimates.alert or config.data_quality.out_of_contract_share is not None
    return config.consecutive == 1 and not alerting and all(rule is None for rule in rules)


def _as_chosen(defaults: Mapping[str, float], config: MonitorConfig, choice: Choice, fresh: bool) -> Chosen:
    limits = {**defaults, **choice.limits}
    together = choice.consecutive if choice.limits else config.consecutive
    return Chosen(limits, msgspec.structs.replace(config, consecutive=together), choice, fresh)


def _open(alerts: Sequence[Alert]) -> bool:
    return any(one.cause == "performance" and one.state != "resolved" for one in alerts)


def _too_little(now: Situation, windows: int, metrics: Sequence[str]) -> str:
    if windows >= LEAST_WINDOWS and not metrics:
        return f"{', '.join(unwritten(now.config))} cannot be told for every window, so its limit stays as it is."
    return (
        f"{windows} judged windows are too few to set limits by ({LEAST_WINDOWS} are needed); until then the live version's "
        "baseline is the limit."
    )

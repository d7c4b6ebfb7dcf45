"""From windows to findings: pure rules that say what was wrong in which window, and since when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from loopline.core.performance import LOSSES
from loopline.core.times import from_text, to_text
from loopline.usecases.monitoring.model.alerts import Finding
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.explaining import Past, of_column, of_metric
from loopline.usecases.monitoring.model.windows import LabelDelay, Window


class Reading(NamedTuple):
    """What one window shows for one cause: of which metric, or which kind of bad value in which column."""

    window: Window
    wrong: bool
    value: float | None
    limit: float | None
    message: str
    metric: str = ""
    kind: str = ""
    column: str = ""
    columns: tuple[str, ...] = ()


def findings(
    windows: Sequence[Window],
    config: MonitorConfig,
    limits: Mapping[str, float],
    live_at: Mapping[str, int | None],
    usual: Mapping[str, float],
    delay: LabelDelay | None = None,
) -> list[Finding]:
    """What each window says about each cause, in the order in which it could be known: at its end, or once its truth
    is there (`delay`, unless the monitor says how long that takes).

    A version is judged on its mature windows, as long as it was still live when they matured (`live_at` by window
    start): nobody is woken for one that was replaced meanwhile. `limits` are by metric; `usual` has the training
    profile's missing share of each input. Those that are wrong say in `details` which way, by how much, where, and at
    what cost.
    """
    past, hours = Past(windows, config), config.label_delay_hours
    if hours is None:
        hours = (delay.p99_hours if delay is not None and delay.settled else None) or 0.0
    whole = [window for window in windows if window.column == ""]
    ended = [window for window in whole if window.complete and window.predictions >= config.minimum_rows]
    live = [w for w in windows if w.column == "version" and w.mature and w.value == str(live_at.get(w.start))]
    judged = [window for window in live if window.labelled >= config.minimum_labels]
    causes: list[tuple[str, float, list[Reading]]] = [
        ("performance", hours, _read(judged, lambda window: _performance(window, config, limits))),
        ("data_quality", 0.0, _read(ended, lambda window: _quality(window, config, usual))),
        ("latency", 0.0, _read(ended, lambda window: _latency(window, config))),
        ("errors", 0.0, _read(ended, lambda window: _errors(window, config))),
    ]
    found = [entry for cause, late, readings in causes for entry in _in_order(cause, readings, past, live_at, late)]
    return sorted(found, key=lambda finding: finding.due)


def _in_order(
    cause: str, readings: list[Reading], past: Past, live_at: Mapping[str, int | None], hours: float
) -> Iterator[Finding]:
    run: list[Reading] = []
    consecutive = past.config.consecutive
    for reading in sorted(readings, key=lambda reading: reading.window.start):
        run = [*run, reading] if reading.wrong else []
        yield Finding(
            cause=cause,
            state="well" if not run else "wrong" if len(run) >= consecutive else "wait",
            first_window=(run or [reading])[0].window.start,
            window=reading.window.start,
            version=live_at.get(reading.window.start),
            value=reading.value,
            limit=reading.limit,
            message=reading.message,
            details=_details(past, reading, run[0].window.start) if run else {},
            due=to_text(from_text(reading.window.end) + timedelta(hours=hours)),
        )


def _details(past: Past, reading: Reading, since: str) -> dict[str, Any]:
    if reading.metric == "lead" or not (reading.metric or reading.kind):
        return {"metric": reading.metric, "direction": "worse"} if reading.metric else {}
    if reading.kind:
        found = of_column(past, reading.window, reading.kind, reading.column, reading.value or 0.0, since)
        return found | {"columns": list(reading.columns)}
    return of_metric(past, reading.window, reading.metric, reading.limit, since)


def _read(windows: list[Window], look: Callable[[Window], Reading | None]) -> list[Reading]:
    return [reading for reading in map(look, windows) if reading is not None]


def _performance(window: Window, config: MonitorConfig, limits: Mapping[str, float]) -> Reading | None:
    """All metrics with a limit; where several are wrong the first tells the value."""
    found = [_metric(window, config, name, limit) for name, limit in limits.items() if name in window.metrics]
    if not found:
        return None
    wrong = [reading for reading in found if reading.wrong] or found[:1]
    return wrong[0]._replace(message="; ".join(reading.message for reading in wrong))


def _metric(window: Window, config: MonitorConfig, metric: str, limit: float) -> Reading:
    value = window.metrics[metric]
    wrong = value > limit if metric in LOSSES else value < limit
    relation = "above" if metric in LOSSES else "below"
    low, high = (window.metrics.get(f"{metric}_{edge}") for edge in ("low", "high"))
    span = f" (interval {low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    message = (
        f"{metric} {value:.3f}{span} of version {window.value} in the {config.window} of {window.start[:10]} is "
        f"{relation if wrong else 'within'} the limit {limit:.3f}; {window.labelled} of {window.predictions} labels"
    )
    return Reading(window, wrong, value, limit, message, metric)


def _quality(window: Window, config: MonitorConfig, usual: Mapping[str, float]) -> Reading | None:
    rules = config.data_quality
    limits = {
        "missing": rules.missing_share,
        "unknown": rules.unknown_share,
        "out_of_contract": rules.out_of_contract_share,
    }
    asked = {kind: limit for kind, limit in limits.items() if limit is not None}
    if not asked:
        return None
    excess = [
        (share - allowed, share, allowed, kind, column)
        for kind, limit in asked.items()
        for column, share in window.quality.get(kind, {}).items()
        for allowed in [limit + (usual.get(column, 0.0) if kind == "missing" else 0.0)]
    ]
    wrong = sorted((entry for entry in excess if entry[0] > 0), reverse=True)
    if not wrong:
        return Reading(window, False, None, None, f"data quality is within its limits in {window.start[:10]}")
    parts = ", ".join(
        f"{100 * share:.3g} % of {column} {_WORDS[kind]} (at most {100 * allowed:.3g} %)"
        for _, share, allowed, kind, column in wrong[:5]
    )
    _, share, allowed, kind, column = wrong[0]
    return Reading(
        window, True, share, allowed, f"in the {config.window} of {window.start[:10]}: {parts}", "", kind, column,
        tuple(dict.fromkeys(entry[4] for entry in wrong)),
    )  # fmt: skip


_WORDS = {"missing": "is missing", "unknown": "was never seen in training", "out_of_contract": "breaks the contract"}


def _latency(window: Window, config: MonitorConfig) -> Reading | None:
    value = window.metrics.get("latency_p99_ms")
    if config.latency_ms is None or value is None:
        return None
    message = (
        f"p99 latency {value:.2f} ms in the {config.window} of {window.start[:10]} (at most {config.latency_ms:g} ms)"
    )
    return Reading(window, value > config.latency_ms, value, config.latency_ms, message, "latency_p99_ms")


def _errors(window: Window, config: MonitorConfig) -> Reading | None:
    value = window.metrics.get("error_share")
    if config.error_share is None or value is None:
        return None
    message = (
        f"{100 * value:.3g} % of predictions in the {config.window} of {window.start[:10]} are errors "
        f"(at most {100 * config.error_share:.3g} %)"
    )
    return Reading(window, value > config.error_share, value, config.error_share, message, "error_share")

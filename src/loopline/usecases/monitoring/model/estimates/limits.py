"""Which estimates lie beyond the limit of their metric with their whole interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from loopline.core.performance import LOSSES
from loopline.usecases.monitoring.model.alerts import Finding
from loopline.usecases.monitoring.model.estimates.values import Estimate
from loopline.usecases.monitoring.model.looking import Look

MIX = "mix"


def findings(look: Look, kept: Iterable[Estimate]) -> Iterator[Finding]:
    """Where the monitor asks for it: windows that are over and whose whole interval lies beyond the limit of its metric.
    Windows of a version that was replaced before they ended wake nobody."""
    if not look.config.estimates.alert:
        return
    windows: dict[str, list[Estimate]] = {}
    for entry in kept:
        live = entry.version in (None, look.live_at.get(entry.start))
        if live and entry.method == MIX and entry.complete and entry.value is not None and entry.metric in look.limits:
            windows.setdefault(entry.start, []).append(entry)
    run: list[str] = []
    for start, entries in sorted(windows.items()):
        wrong = [entry for entry in entries if _beyond(entry, look.limits[entry.metric])]
        run = [*run, start] if wrong else []
        state: Literal["wrong", "well", "wait"] = "well" if not run else "wait"
        state = "wrong" if len(run) >= look.config.consecutive else state
        yield _finding(look, (wrong or entries)[0], "; ".join(_told(e, look) for e in wrong or entries[:1]), state, run)


def _finding(
    look: Look, entry: Estimate, message: str, state: Literal["wrong", "well", "wait"], run: Sequence[str]
) -> Finding:
    return Finding(
        cause="estimate",
        state=state,
        first_window=run[0] if run else entry.start,
        window=entry.start,
        version=look.live_at.get(entry.start),
        value=entry.value,
        limit=look.limits[entry.metric],
        message=message,
        details={
            "metric": entry.metric, "estimate": entry.value, "low": entry.low, "high": entry.high,
            "method": entry.method, "share_arrived": entry.share, "as_of": entry.as_of, "warning": entry.warning,
        },
    )  # fmt: skip


def _beyond(entry: Estimate, limit: float) -> bool:
    if entry.mature and entry.realized is not None:  # what came true says more than what was thought
        return entry.realized > limit if entry.metric in LOSSES else entry.realized < limit
    edge = entry.low if entry.metric in LOSSES else entry.high
    return edge is not None and (edge > limit if entry.metric in LOSSES else edge < limit)


def _told(entry: Estimate, look: Look) -> str:
    limit = look.limits[entry.metric]
    relation = ("above" if entry.metric in LOSSES else "below") if _beyond(entry, limit) else "not surely beyond"
    return (
        f"{entry.metric} of the {look.config.window} of {entry.start[:10]} is estimated as {entry.value:.3f}"
        f" ({entry.low:.3f} to {entry.high:.3f}), {relation} the limit {limit:.3f};"
        f" {100 * entry.share:.0f} % of its truth has arrived"
    )

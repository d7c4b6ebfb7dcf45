"""From what the methods say to what is said: the mix, its interval, and the rows that are kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from loopline.usecases.monitoring.model.estimates.mixing import reach, scale_of, weights, within
from loopline.usecases.monitoring.model.estimates.values import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from loopline.usecases.monitoring.model.estimates.forecasts import Forecast

MIX = "mix"
Said = dict[tuple[str, str], Estimate]
NO_LABEL = (
    "no truth of this window has arrived: a change of what inputs mean for the truth (concept drift) cannot be seen"
)


def spoken(forecast: Forecast, past: Sequence[Said], blank: Estimate, warnings: Iterable[str]) -> Said:
    """An estimate by (metric, method) of one window, learning from past windows (oldest first) whose truth was mature.
    `blank` has the fields that all share."""
    quiet = () if forecast.share >= 0.01 else (NO_LABEL,)
    words = "; ".join(dict.fromkeys((*warnings, *forecast.warnings, *quiet)))
    found: Said = {}
    for metric, values in forecast.values.items():
        for method, value in {**values, MIX: math.nan}.items():
            found[metric, method] = _with(blank, metric, method, value, forecast, words)
        found[metric, MIX] = _mixed(found[metric, MIX], values, forecast.spreads[metric], past)
    return found


def silent(metrics: Iterable[str], blank: Estimate, why: str) -> Said:
    """Estimates without a value, that tell why there is none."""
    return {(metric, MIX): _with(blank, metric, MIX, math.nan, None, why) for metric in metrics}


def as_first(entry: Estimate) -> dict[str, float | None]:
    """What is kept of an estimate as the first that was said of a window."""
    return {
        "first_value": entry.value, "first_low": entry.low, "first_high": entry.high, "first_share": entry.share,
        "first_spread": entry.spread,
    }  # fmt: skip


def first_of(entry: Estimate) -> dict[str, float | None]:
    """What was said first of a window, to be kept beside what is said of it now."""
    return {name: getattr(entry, name) for name in as_first(entry)}


def _mixed(entry: Estimate, values: Mapping[str, float], spread: float, past: Sequence[Said]) -> Estimate:
    import msgspec

    usable = {method: value for method, value in values.items() if math.isfinite(value)}
    if not usable:
        return entry
    errors = [_errors(said, entry.metric) for said in past]
    parts = weights(errors, list(usable), scale_of(errors, spread))
    value = within(entry.metric, sum(part * usable[method] for method, part in parts.items()))
    size = max(spread, 1e-6)
    wide = reach([one for said in past for one in _standardized(said, entry.metric)], CONFIDENCE) * size
    return msgspec.structs.replace(
        entry,
        value=value,
        low=within(entry.metric, value - wide),
        high=within(entry.metric, value + wide),
        spread=size,
    )


def _errors(said: Said, metric: str) -> dict[str, float]:
    return {
        method: entry.first_value - entry.realized
        for (name, method), entry in said.items()
        if name == metric and method != MIX and entry.first_value is not None and entry.realized is not None
    }


def _standardized(said: Said, metric: str) -> list[float]:
    entry = said.get((metric, MIX))
    if entry is None or entry.first_value is None or entry.realized is None or not entry.first_spread:
        return []
    return [(entry.first_value - entry.realized) / entry.first_spread]


def _with(blank: Estimate, metric: str, method: str, value: float, forecast: Forecast | None, words: str) -> Estimate:
    import msgspec

    return msgspec.structs.replace(
        blank,
        metric=metric,
        method=method,
        value=within(metric, value) if math.isfinite(value) else None,
        share=forecast.share if forecast else blank.share,
        warning=words if method == MIX else "",
    )

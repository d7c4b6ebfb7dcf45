"""Round numbers and times at which an axis is labelled."""

from __future__ import annotations

import math
from datetime import UTC, datetime

HOUR, DAY = 3_600_000, 86_400_000
STEPS = (HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY)
MOST_TIMES = 8


def numbers(low: float, high: float, wanted: int = 5) -> list[float]:
    """About `wanted` multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * place, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def number_text(value: float) -> str:
    """A tick's label: no more digits than needed."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def times(start: float, end: float) -> list[tuple[float, str]]:
    """(milliseconds, label) of round moments within [start, end]: hours, days, weeks (Mondays), months or years."""
    span = max(end - start, 1.0)
    for step in STEPS:
        if span / step <= MOST_TIMES:
            return [(at, _short(at, step)) for at in _multiples(start, end, step)]
    return _months(start, end)


def _multiples(start: float, end: float, step: int) -> list[float]:
    # 1970 began on a Thursday: weeks are counted from the Monday after it.
    offset = 4 * DAY if step >= 7 * DAY else 0
    first = math.ceil((start - offset) / step)
    return [float(offset + step * place) for place in range(first, math.floor((end - offset) / step) + 1)]


def _short(at: float, step: int) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    if step < DAY:
        return f"{moment:%H:%M}" if moment.hour else f"{moment.day} {moment:%b}"
    return f"{moment.day} {moment:%b}"


def _months(start: float, end: float) -> list[tuple[float, str]]:
    first = datetime.fromtimestamp(start / 1000, UTC)
    months = (end - start) / (30.44 * DAY)
    step = next((size for size in (1, 2, 3, 6, 12, 24, 60) if months / size <= MOST_TIMES), 120)
    found: list[tuple[float, str]] = []
    number = first.year * 12 + first.month - 1
    while True:
        number += 1
        moment = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        at = moment.timestamp() * 1000
        if at > end:
            return found
        if (number % 12) % min(step, 12) == 0 and (step <= 12 or moment.year % (step // 12) == 0):
            found.append((at, f"{moment:%b} {moment.year}" if step < 12 else str(moment.year)))

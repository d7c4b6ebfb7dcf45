"""When the steps of a run ran: bars along one axis of seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_BARS = 60
LEFT, WIDE, ROW, TOP = 236, 700, 30, 26


def timeline(steps: Sequence[Mapping[str, Any]], now: float) -> dict[str, Any]:
    """Bars from the moment each step began to its end, or to now; `left` counts the shorter ones that are not drawn."""
    timed = [step for step in steps if step["after"] is not None]
    kept = {id(step) for step in sorted(timed, key=lambda step: lasted(step, now), reverse=True)[:MOST_BARS]}
    shown = sorted((step for step in timed if id(step) in kept), key=lambda step: step["after"])
    whole = max([now, 1e-3, *(step["until"] or 0.0 for step in shown)])
    bars = [
        {
            "step": step,
            "x": round(LEFT + WIDE * step["after"] / whole, 1),
            "wide": round(max(WIDE * lasted(step, now) / whole, 3), 1),
            "y": TOP + place * ROW,
            "seconds": lasted(step, now),
        }
        for place, step in enumerate(shown)
    ]
    ticks = [{"x": round(LEFT + WIDE * at / whole, 1), "at": at} for at in marks(whole)]
    return {"bars": bars, "ticks": ticks, "left": len(timed) - len(shown), "height": TOP + len(bars) * ROW + 4}


def lasted(step: Mapping[str, Any], now: float) -> float:
    """Seconds from a step's beginning to its end, or to now."""
    return max(0.0, float((now if step["until"] is None else step["until"]) - step["after"]))


def marks(whole: float) -> list[float]:
    """Round numbers of seconds, at most six."""
    size = 10.0**-4
    while whole / size > 6:
        size *= 2.5 if f"{size:e}"[0] == "2" else 2
    return [round(number * size, 6) for number in range(int(whole / size) + 1)]


def shares(counts: Mapping[str, int], total: int) -> list[dict[str, Any]]:
    """How many steps stand how, as pieces of a bar from 0 to 1000."""
    pieces: list[dict[str, Any]] = []
    x = 0.0
    for status in ("hit", "ran", "failed", "cancelled", "skipped", "running", "waiting"):
        wide = 1000 * counts.get(status, 0) / max(total, 1)
        if wide:
            pieces.append({"status": status, "number": counts[status], "x": round(x, 2), "wide": round(wide, 2)})
        x += wide
    return pieces

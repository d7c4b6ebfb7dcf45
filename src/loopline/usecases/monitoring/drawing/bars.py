"""A column's values then and now: numbers as steps over their range, texts as pairs of bars beneath each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.usecases.monitoring.drawing import ticks
from loopline.usecases.monitoring.drawing.lines import BOTTOM, LEFT, RIGHT, TOP, Scale

LINE = 34
LABEL = 190
LONGEST = 26


def distribution(column: Mapping[str, Any], width: int = 960, height: int = 300) -> dict[str, Any] | None:
    """Where the bars of a drift report's column lie (`bins`, `shares_then`, `shares_now`); None without a bin.

    `kind` is "steps" (bins are edges of numbers) or "bars" (bins are values).
    """
    then, now, bins = column["shares_then"], column["shares_now"], column["bins"]
    if not then:
        return None
    if len(bins) == len(then) + 1 and not any(isinstance(edge, str) for edge in bins):
        return _steps(bins, then, now, width, height)
    return _bars([str(name) for name in bins], then, now, width)


def _steps(
    edges: Sequence[float], then: Sequence[float], now: Sequence[float], width: int, height: int
) -> dict[str, Any]:
    across = Scale(edges[0], edges[-1], LEFT, width - RIGHT)
    top = max(*then, *now, 1e-9)
    upward = Scale(0, top * 1.05, height - BOTTOM, TOP)
    floor = height - BOTTOM
    outline = f"M{across(edges[0]):g} {floor}" + "".join(
        f"V{upward(share):g}H{across(edge):g}" for share, edge in zip(then, edges[1:], strict=True)
    )
    return {
        "kind": "steps",
        "width": width,
        "height": height,
        "left": LEFT,
        "right": width - RIGHT,
        "bottom": floor,
        "then": f"{outline}V{floor}",
        "now": [
            {
                "x": across(low) + 0.5,
                "width": round(max(across(high) - across(low) - 1, 0.5), 1),
                "y": upward(share),
                "height": round(floor - upward(share), 1),
                "text": f"{ticks.number_text(low)} to {ticks.number_text(high)}: {100 * before:.2f} % then, {100 * share:.2f} % now",
            }
            for low, high, before, share in zip(edges, edges[1:], then, now, strict=False)
        ],
        "xs": [{"at": across(v), "text": ticks.number_text(v)} for v in ticks.numbers(edges[0], edges[-1], 8)],
        "ys": [{"at": upward(v), "text": f"{100 * v:g} %"} for v in ticks.numbers(0, top * 1.05, 4)],
    }


def _bars(names: Sequence[str], then: Sequence[float], now: Sequence[float], width: int) -> dict[str, Any]:
    across = Scale(0, max(*then, *now, 1e-9) * 1.02, LABEL, width - 66)
    rows = []
    for place, (name, before, share) in enumerate(zip(names, then, now, strict=True)):
        told = name or "others"
        rows.append(
            {
                "y": place * LINE + 6,
                "name": told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…",
                "title": f"{told}: {100 * before:.2f} % then, {100 * share:.2f} % now",
                "then": round(across(before) - LABEL, 1),
                "now": round(across(share) - LABEL, 1),
                "text": f"{100 * share:.1f} %",
            }
        )
    return {"kind": "bars", "width": width, "height": len(names) * LINE + 8, "left": LABEL, "rows": rows}

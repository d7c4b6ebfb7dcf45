"""A small picture for messages: what was measured by window, its limit, and the bad windows. Imports Pillow when it draws."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from loopline.usecases.monitoring.model.alerts import Alert
from loopline.usecases.monitoring.model.windows import Window

WIDE, HIGH = 640, 240
LEFT, RIGHT, TOP, LOW = 64, 16, 34, 30
MOST = 60
INK, FAINT, LINE, BAD, LIMIT = (30, 41, 59), (203, 213, 225), (37, 99, 235), (254, 226, 226), (220, 38, 38)
Series = list[tuple[str, float, bool]]


def series_of(alert: Alert, windows: Sequence[Window]) -> Series:
    """(start, value, mature) of the newest windows up to the alert's last one: of its metric, or of the share of its
    column that is wrong."""
    kind, column = str(alert.details.get("kind") or ""), str(alert.details.get("column") or "")
    metric = str(alert.details.get("metric") or "")
    found: Series = []
    for window in windows:
        value = window.quality.get(kind, {}).get(column) if kind else window.metrics.get(metric)
        if value is not None and window.start <= alert.last_window:
            found.append((window.start, float(value), window.mature))
    return found[-MOST:]


def picture(alert: Alert, windows: Sequence[Window]) -> bytes | None:
    """A PNG of 640 x 240 points, or None: with fewer than two values, or where Pillow is not installed."""
    series = series_of(alert, windows)
    if len(series) < 2:
        return None
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        return None
    image = Image.new("RGB", (WIDE, HIGH), (255, 255, 255))
    _draw(ImageDraw.Draw(image), alert, series)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _draw(draw: Any, alert: Alert, series: Series) -> None:
    values = [value for _, value, _ in series] + [alert.limit] * (alert.limit is not None)
    low, high = min(values), max(values)  # type: ignore[type-var]
    room = ((high - low) or abs(high) or 1.0) * 0.12  # type: ignore[operator, arg-type]
    low, high = low - room, high + room  # type: ignore[operator]

    def x(place: float) -> float:
        return LEFT + (WIDE - LEFT - RIGHT) * (place + 0.5) / len(series)

    def y(value: float) -> float:
        return TOP + (HIGH - TOP - LOW) * (high - value) / (high - low)

    for place, (start, _, _) in enumerate(series):
        if alert.first_window <= start <= alert.last_window:
            draw.rectangle([x(place - 0.5), TOP, x(place + 0.5), HIGH - LOW], fill=BAD)
    for value in (low + room, high - room):
        draw.line([(LEFT, y(value)), (WIDE - RIGHT, y(value))], fill=FAINT)
        draw.text((6, y(value) - 6), f"{value:.4g}", fill=INK)
    if alert.limit is not None:
        for left in range(LEFT, WIDE - RIGHT, 12):
            draw.line([(left, y(alert.limit)), (left + 6, y(alert.limit))], fill=LIMIT, width=2)
    points = [(x(place), y(value)) for place, (_, value, _) in enumerate(series)]
    draw.line(points, fill=LINE, width=2)
    for (across, down), (_, _, mature) in zip(points, series, strict=True):
        draw.ellipse(
            [across - 3, down - 3, across + 3, down + 3], fill=LINE if mature else (255, 255, 255), outline=LINE
        )
    named = alert.details.get("metric") or alert.details.get("column") or alert.cause
    limit = "" if alert.limit is None else f", limit {alert.limit:.4g}"
    draw.text((LEFT, 10), f"{alert.endpoint}: {named}{limit}".encode("ascii", "replace").decode(), fill=INK)
    draw.text((LEFT, HIGH - 20), series[0][0][:10], fill=INK)
    draw.text((WIDE - RIGHT - 62, HIGH - 20), series[-1][0][:10], fill=INK)

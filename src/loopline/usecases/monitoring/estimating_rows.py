"""Reads the rows that estimates need, a bounded sample of each stretch of time. Imports numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loopline.core.tables import Column
from loopline.core.times import from_ms, to_ms
from loopline.usecases.monitoring.books.reading import OWN_NAMES
from loopline.usecases.monitoring.model.arrays import DAY_MS
from loopline.usecases.monitoring.model.estimates.rows import Rows, rows_of, sampled
from loopline.usecases.monitoring.model.looking import Look
from loopline.usecases.monitoring.model.windows import Window

MOST_ROWS, MOST_HISTORY, LEAST_STRETCH = 200_000, 120_000, 2_000
STRETCHES = {"hour": 14, "day": 90, "week": 26, "month": 18}


class Reader:
    """Rows of windows (at most MOST_ROWS each) and of what came before a moment (at most about MOST_HISTORY in all)."""

    def __init__(self, look: Look, delay_ms: int) -> None:
        self._look = look
        self._stretches = stretches(look)
        self._delay_ms = delay_ms
        self._kept: dict[tuple[int, int], Any] = {}
        self._last: tuple[tuple[str, str], Any] | None = None
        signature = look.describe(look.live[0], look.live[1])[0] if look.live[1] is not None else None
        inputs: Sequence[Column] = () if signature is None else signature.inputs
        self._inputs = [(column, _logged(column.name)) for column in inputs if column.type != "timestamp"]

    def window(self, window: Window) -> Rows:
        """The rows of a window."""
        return rows_of(self._table(window.start, window.end), self._inputs)

    def before(self, moment_ms: int) -> Rows:
        """What happened before a moment, as far back as is learned from."""
        import pyarrow as pa

        held = [stretch for stretch in self._stretches if stretch[0] < moment_ms]
        young = sum(stretch[1] > moment_ms - self._delay_ms for stretch in held)
        wanted = held[-(STRETCHES[self._look.config.window] + young) :]
        most = max(MOST_HISTORY // max(len(wanted), 1), LEAST_STRETCH)
        tables = [self._sample(stretch, most) for stretch in wanted]
        rows = rows_of(pa.concat_tables(tables, promote_options="permissive"), self._inputs)
        return rows.where(rows.event_ms < moment_ms)

    def is_text(self) -> bool:
        """Whether predictions are texts."""
        import pyarrow as pa

        first, end = self._stretches[-1]
        kind = self._sample((first, end), LEAST_STRETCH)["prediction"].type
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

    def _sample(self, stretch: tuple[int, int], most: int) -> Any:
        if stretch not in self._kept:
            # as many as the shortest history would take of it: what is read once serves every moment
            self._kept[stretch] = sampled(self._table(from_ms(stretch[0]), from_ms(stretch[1])), MOST_HISTORY // 8)
        return sampled(self._kept[stretch], most)

    def _table(self, start: str, end: str) -> Any:
        """The last one is kept: what is estimated of a window, what came true in it and what the next ones learn from it
        follow each other."""
        if self._last is None or self._last[0] != (start, end):
            names = ["id", "at", "event_time", "version", "prediction", *(name for _, name in self._inputs)]
            self._last = (start, end), sampled(self._look.rows(start, end, list(dict.fromkeys(names))), MOST_ROWS)
        return self._last[1]


def stretches(look: Look) -> list[tuple[int, int]]:
    """First and end of the windows that hold rows, hours put together into days (milliseconds)."""
    bounds = [(to_ms(w.start), to_ms(w.end)) for w in look.windows if w.column == "" and w.predictions]
    if look.config.window != "hour":
        return sorted(bounds)
    days = sorted({first // DAY_MS for first, _ in bounds})
    return [(day * DAY_MS, (day + 1) * DAY_MS) for day in days]


def of_versions(history: Rows, window: Rows, moment_ms: int, delay_ms: int, least: int) -> tuple[Rows, str]:
    """The history of the versions that served the window, where enough of it has mature truth; else all of it, and a
    warning."""
    versions = window.versions()
    inside = np.isin(history.version, versions)
    if not versions or inside.all():
        return history, ""
    same = history.where(inside)
    if int((same.known(moment_ms) & (same.event_ms <= moment_ms - delay_ms)).sum()) >= least:
        return same, ""
    version = window.main_version()
    return history, f"version {version} has few rows with mature truth: calibration rests on the versions before it"


def _logged(name: str) -> str:
    return f"input.{name}" if name in OWN_NAMES else name

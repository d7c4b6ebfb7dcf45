"""A look at a table of predictions held in memory: what an evaluation hands to estimating, without an installation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.core.tables import Signature
from loopline.core.times import from_ms
from loopline.usecases.monitoring.estimating import Estimated, look
from loopline.usecases.monitoring.model import LabelDelay, MonitorConfig, Window
from loopline.usecases.monitoring.model.arrays import next_period, period_of
from loopline.usecases.monitoring.model.estimates.values import Estimate
from loopline.usecases.monitoring.model.looking import Look

MOMENT = pa.timestamp("ms", tz="UTC")


class Table:
    """Predictions with id, event_time, version, prediction, inputs, and all the truth that will ever come: `value` (NaN:
    never) known at `told_at` (milliseconds). What is kept of a look is kept here, as the database would."""

    def __init__(self, rows: pa.Table, signature: Signature, config: MonitorConfig, limits: dict[str, float]) -> None:
        self.rows = rows.sort_by("event_time")
        self.signature, self.config, self.limits = signature, config, limits
        self.events = self.rows["event_time"].cast("int64").to_numpy()
        self.told, self.value = self.rows["told_at"].to_numpy(), self.rows["value"].to_numpy()
        self.kept: dict[tuple[str, str, str], tuple[str, Estimate]] = {}

    def look(self, watermark_ms: int, delay_hours: float) -> Estimated:
        """Estimate as of a moment, and keep what is said."""
        found = look(self.at(watermark_ms, delay_hours))
        self.kept |= {(entry.start, entry.metric, entry.method): (basis, entry) for basis, entry in found.changed}
        return found

    def at(self, watermark_ms: int, delay_hours: float) -> Look:
        """What an evaluation at that moment of the event clock hands over."""
        windows = self.windows(watermark_ms, delay_hours)
        return Look(
            endpoint="late", config=self.config, book=None, windows=windows, live=("late", 1),  # type: ignore[arg-type]
            live_at={window.start: 1 for window in windows}, limits=self.limits,
            delay=LabelDelay(p99_hours=delay_hours, settled=True), watermark_ms=watermark_ms,
            describe=lambda model, version: (self.signature, None), rows=self.reader(watermark_ms),
            read=lambda work: list(self.kept.values()),
        )  # fmt: skip

    def windows(self, watermark_ms: int, delay_hours: float) -> list[Window]:
        """Counts by window; metrics are not needed here."""
        seen = self.events < watermark_ms
        starts, codes = np.unique(period_of(self.events[seen], self.config.window), return_inverse=True)
        known = np.isfinite(self.value[seen]) & (self.told[seen] <= watermark_ms)
        rows, labels = np.bincount(codes), np.bincount(codes, weights=known)
        ends = [next_period(int(start), self.config.window) for start in starts]
        return [
            Window(
                start=from_ms(int(start)), end=from_ms(end), column="", value="", predictions=int(rows[place]),
                labelled=int(labels[place]), complete=watermark_ms >= end,
                mature=watermark_ms >= end + delay_hours * 3_600_000, metrics={},
            )
            for place, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]  # fmt: skip

    def reader(self, watermark_ms: int) -> Callable[[str, str, Sequence[str] | None], pa.Table]:
        """`Look.rows` as of a moment: rows by event time, and the truth that had come."""
        known = np.isfinite(self.value) & (self.told <= watermark_ms)
        truth = pa.array(np.where(known, self.value, np.nan))
        told = pa.array(self.told, MOMENT, mask=~known)
        whole = self.rows.append_column("truth", truth).append_column("known_at", told)

        def rows(start: str, end: str, columns: Sequence[str] | None) -> pa.Table:
            first, last = (pa.scalar(datetime.fromisoformat(text), MOMENT) for text in (start, end))
            found = whole.filter((pc.field("event_time") >= first) & (pc.field("event_time") < last))
            names = [name for name in columns or () if name in found.column_names]
            return found.select([*names, "truth", "known_at"]) if columns else found

        return rows

"""Profiles of windows in a few numbers a column. Imports numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopline.core.times import to_ms
from loopline.usecases.monitoring.model.drift import quantiles
from loopline.usecases.monitoring.model.looking import Book
from loopline.usecases.monitoring.model.profile import NumericColumn, ProfiledColumn
from loopline.usecases.monitoring.model.summaries import ColumnSummary
from loopline.usecases.monitoring.model.texts import distinct_values
from loopline.usecases.monitoring.model.windows import Window

LEVELS = (0.05, 0.5, 0.95)


def summaries(book: Book, windows: Sequence[Window]) -> Iterator[ColumnSummary]:
    """Each column of each window that has a profile (one of a version that is known, not rolled up)."""
    for window in windows:
        found = book.profile(to_ms(window.start), to_ms(window.end))
        for column in () if found is None else found.columns:
            yield summary(column, window.start, window.end)


def summary(column: ProfiledColumn, start: str, end: str) -> ColumnSummary:
    """One column of a window."""
    if not isinstance(column, NumericColumn):
        top, count = max(column.values.items(), key=lambda pair: (pair[1], pair[0]), default=(None, 0))
        return ColumnSummary(
            start=start, end=end, column=column.name, kind="categorical", rows=column.rows, missing=column.missing,
            outside=column.outside, different=distinct_values(column), top=top,
            top_share=None if top is None else count / column.rows,
        )  # fmt: skip
    p05, p50, p95 = quantiles(column, LEVELS) or (None, None, None)
    return ColumnSummary(
        start=start, end=end, column=column.name, kind="numeric", rows=column.rows, missing=column.missing,
        infinite=column.infinite, outside=column.outside, mean=column.mean, low=column.low, p05=p05, p50=p50, p95=p95,
        high=column.high,
    )  # fmt: skip

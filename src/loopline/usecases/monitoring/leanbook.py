"""A book without profiles, for replays in which no drift wakes anyone. Imports numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.usecases.monitoring.books.book import Book

if TYPE_CHECKING:
    import pyarrow as pa


class LeanBook(Book):
    """Rows and truth are counted as ever; making profiles of every day would take most of the time."""

    def _profile(self, table: pa.Table, found: dict[Any, Any]) -> None:
        return

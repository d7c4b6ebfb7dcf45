"""A profile in a few numbers a column. Only the type is here, and what needs no numpy."""

from __future__ import annotations

import msgspec


class ColumnSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One column in the rows of one window: an input, `prediction` or `latency_us`.

    `kind` is numeric or categorical. `missing`, `infinite` and `outside` (what the contract does not allow) count rows.
    Numbers have the mean, the extremes and quantiles of their finite values (quantiles to the width of a cell; times are
    milliseconds since 1970); texts have the number of different values, the most frequent one and its share of all
    rows. None is what a column of its kind does not have, or what no row has.
    """

    start: str
    end: str
    column: str
    kind: str
    rows: int
    missing: int
    infinite: int = 0
    outside: int = 0
    mean: float | None = None
    low: float | None = None
    p05: float | None = None
    p50: float | None = None
    p95: float | None = None
    high: float | None = None
    different: float | None = None
    top: str | None = None
    top_share: float | None = None

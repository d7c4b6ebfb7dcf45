"""What pages show of the prediction log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopline.core.times import from_ms
from loopline.usecases.serving.records import layout
from loopline.usecases.serving.records.reading import read_columns, read_predictions, steadily
from loopline.usecases.serving.records.segments import names, read
from loopline.usecases.serving.records.tables import EXPLANATION
from loopline.usecases.serving.records.writing import PREDICTIONS


def recent(home: Path, endpoint: str, limit: int) -> list[dict[str, Any]]:
    """The newest predictions, newest first, times as ISO text."""
    since = steadily(endpoint, lambda: _since(home, endpoint, limit))
    table = read_predictions(home, endpoint, None if since is None else from_ms(since), None, "at")
    return shown_rows(table, limit)


def shown_rows(table: Any, limit: int) -> list[dict[str, Any]]:
    """The last rows of a table, the last first, as JSON has them."""
    rows: list[dict[str, Any]] = table.slice(max(0, table.num_rows - limit)).to_pylist()
    return [{key: plain(key, value) for key, value in row.items()} for row in reversed(rows)]


def _since(home: Path, endpoint: str, limit: int) -> int | None:
    """A time since which at least `limit` records were made, known from the beginnings of blocks and row groups."""
    from array import array

    import pyarrow.parquet as pq

    starts: list[tuple[int, int]] = []
    for name in names(home / PREDICTIONS / endpoint):
        found = read(home / PREDICTIONS / endpoint / name)
        starts += [(min(array("q", block[1])), block[0]) for block in (found[1] if found else ()) if block[0]]
    folder = layout.archive(home, endpoint)
    for day in reversed(layout.days(folder)):
        if sum(rows for _, rows in starts) >= limit and all(layout.day_of(first) > day for first, _ in starts):
            break
        for name in layout.present(layout.day_folder(folder, day)):
            whole = pq.read_metadata(layout.day_folder(folder, day) / name)
            for place in range(whole.num_row_groups):
                starts.append((_earliest(whole, place), whole.row_group(place).num_rows))
    rows = 0
    for first, count in sorted(starts, reverse=True):
        rows += count
        if rows >= limit:
            return first
    return None


def _earliest(whole: Any, group: int) -> int:
    """The earliest `at` of a row group, from its statistics."""
    place = whole.schema.names.index("at")
    statistics = whole.row_group(group).column(place).statistics
    return round(statistics.min.timestamp() * 1000) if statistics is not None and statistics.has_min_max else 0


def traffic(home: Path, endpoint: str) -> list[dict[str, Any]]:
    """By day of event time (else of the server's clock) and revision: rows, p50 and p99 latency in milliseconds, and
    how many rows there were where a share is logged (`answered`)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = ("at", "event_time", "revision", "latency_us", "sample")
    table = read_columns(home, endpoint, wanted)
    if not table.num_rows:
        return []
    days = pc.cast(pc.coalesce(table["event_time"], table["at"]), pa.date32())
    weight = pc.divide(1.0, table["sample"])
    small = pa.table({"day": days, "revision": table["revision"], "latency": table["latency_us"], "weight": weight})
    grouped = small.group_by(["day", "revision"]).aggregate(
        [("latency", "list"), ("latency", "count"), ("weight", "sum")]
    )
    found = []
    for row in grouped.sort_by([("day", "ascending"), ("revision", "ascending")]).to_pylist():
        p50, p99 = np.percentile(row["latency_list"], [50, 99]) / 1000
        found.append(
            {
                "day": row["day"].isoformat(),
                "revision": row["revision"],
                "rows": row["latency_count"],
                "answered": round(row["weight_sum"]),
                "p50_ms": round(float(p50), 3),
                "p99_ms": round(float(p99), 3),
            }
        )
    return found


def shown(value: Any) -> Any:
    """A time as ISO text, anything else as it is."""
    return from_ms(round(value.timestamp() * 1000)) if hasattr(value, "timestamp") else value


def plain(key: str, value: Any) -> Any:
    """A value as JSON has it: a map as an object, a time as text."""
    return dict(value) if key == EXPLANATION and value is not None else shown(value)

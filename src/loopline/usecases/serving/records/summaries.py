"""What pages show of the prediction log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopline.core.times import from_ms
from loopline.usecases.serving.records.reading import read_predictions


def recent(home: Path, endpoint: str, limit: int) -> list[dict[str, Any]]:
    """The newest predictions, newest first, times as ISO text."""
    table = read_predictions(home, endpoint, None, None, "at")
    rows: list[dict[str, Any]] = table.slice(max(0, table.num_rows - limit)).to_pylist()
    return [{key: shown(value) for key, value in row.items()} for row in reversed(rows)]


def traffic(home: Path, endpoint: str) -> list[dict[str, Any]]:
    """By day of event time (else of the server's clock) and revision: rows, p50 and p99 latency in milliseconds."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_predictions(home, endpoint, None, None, "at")
    if not table.num_rows:
        return []
    days = pc.cast(pc.coalesce(table["event_time"], table["at"]), pa.date32())
    small = pa.table({"day": days, "revision": table["revision"], "latency": table["latency_us"]})
    grouped = small.group_by(["day", "revision"]).aggregate([("latency", "list"), ("latency", "count")])
    found = []
    for row in grouped.sort_by([("day", "ascending"), ("revision", "ascending")]).to_pylist():
        p50, p99 = np.percentile(row["latency_list"], [50, 99]) / 1000
        found.append(
            {
                "day": row["day"].isoformat(),
                "revision": row["revision"],
                "rows": row["latency_count"],
                "p50_ms": round(float(p50), 3),
                "p99_ms": round(float(p99), 3),
            }
        )
    return found


def shown(value: Any) -> Any:
    """A time as ISO text, anything else as it is."""
    return from_ms(round(value.timestamp() * 1000)) if hasattr(value, "timestamp") else value

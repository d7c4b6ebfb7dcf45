"""Results of monitoring as Parquet files, for whoever asks them with SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.core.errors import Unavailable
from loopline.core.pages import Call, attempted
from loopline.usecases.monitoring.web_monitor import history

MOST_ALERTS = 1000
SHARES = ("missing", "unknown", "out_of_contract")
TIMES = ("start", "end", "as_of", "first_window", "last_window", "opened_at", "changed_at", "judged_at")
Rows = list[dict[str, Any]]

if TYPE_CHECKING:
    import pyarrow as pa


def written(call: Call, endpoint: str, folder: Path) -> dict[str, int]:
    """Write windows, data quality, drift, estimates, profiles and alerts of an endpoint into `folder`, a Parquet file each
    (none without rows); answers how many rows.

    Windows are long: one row for each window, segment and metric. Times are timestamps (UTC). Unavailable when the folder
    cannot be written.
    """
    import pyarrow.parquet as pq

    rules = attempted(call, "monitoring.rules", endpoint=endpoint) or {}
    call("monitoring.summary", endpoint=endpoint)
    segments = ("", "version", "arm", *(rules.get("slices") or ()), *(rules.get("protected") or ()))
    windows = {column: call("monitoring.windows", endpoint=endpoint, column=column) for column in segments}
    found: dict[str, Rows] = {
        "windows": [row for column in windows for row in _metrics(windows[column])],
        "quality": list(_quality(windows[""])),
        "drift": history(call, endpoint),
        "estimates": list(attempted(call, "monitoring.estimates", endpoint=endpoint, method="") or ()),
        "profiles": list(attempted(call, "monitoring.profiles", endpoint=endpoint) or ()),
        "alerts": _alerts(call("monitoring.alerts", endpoint=endpoint, limit=MOST_ALERTS)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in found.items():
            (folder / f"{name}.parquet").unlink(missing_ok=True)  # of an earlier export
            if rows:
                pq.write_table(_table([{"endpoint": endpoint, **row} for row in rows]), folder / f"{name}.parquet")
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written ({error.strerror}).", "Name another folder.") from None
    return {name: len(rows) for name, rows in found.items()}


def _table(rows: Rows) -> pa.Table:
    """Rows as a table: times as timestamps in UTC (without a zone, which not every reader can), and what no row has as an
    empty column of numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.Table.from_pylist(rows)
    for place, name in enumerate(table.column_names):
        column = table[name]
        if name in TIMES and pa.types.is_string(column.type):
            given = pc.if_else(pc.equal(column, ""), None, column)
            table = table.set_column(place, name, given.cast(pa.timestamp("ms", tz="UTC")).cast(pa.timestamp("ms")))
        elif pa.types.is_null(column.type):
            table = table.set_column(place, name, column.cast(pa.float64()))
    return table


def _metrics(windows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for window in windows:
        metrics: Mapping[str, float] = window["metrics"]
        same = {name: window[name] for name in ("start", "end", "column", "value", "predictions", "labelled")}
        same |= {"complete": window["complete"], "mature": window["mature"]}
        for name in metrics:
            if not name.endswith(("_low", "_high")):
                span = {edge: metrics.get(f"{name}_{edge}") for edge in ("low", "high")}
                yield same | {"metric": name, "metric_value": metrics[name]} | span


def _quality(windows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row for each window and input: the shares of its values that are missing, unknown, or not as its contract says."""
    for window in windows:
        shares: Mapping[str, Mapping[str, float]] = window["quality"]
        for column in dict.fromkeys(name for kind in SHARES for name in shares.get(kind, ())):
            same = {"start": window["start"], "end": window["end"], "column": column, "rows": window["predictions"]}
            yield same | {kind: shares.get(kind, {}).get(column) for kind in SHARES}


def _alerts(alerts: Sequence[Mapping[str, Any]]) -> Rows:
    return [{name: value for name, value in alert.items() if name != "details"} for alert in alerts]

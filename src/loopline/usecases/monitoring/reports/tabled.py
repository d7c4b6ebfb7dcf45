"""Results of monitoring as Parquet files, for whoever asks them with SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loopline.core.errors import Unavailable
from loopline.core.pages import Call, attempted
from loopline.usecases.monitoring.web_monitor import history

MOST_ALERTS = 1000
Rows = list[dict[str, Any]]


def written(call: Call, endpoint: str, folder: Path) -> dict[str, int]:
    """Write windows, drift, estimates and alerts of an endpoint into `folder`, a Parquet file each (none without rows); answers
    how many rows.

    Windows are long: one row for each window, segment and metric. Unavailable when the folder cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rules = attempted(call, "monitoring.rules", endpoint=endpoint) or {}
    call("monitoring.summary", endpoint=endpoint)
    found = {
        "windows": list(_windows(call, endpoint, ("", "version", *(rules.get("slices") or ())))),
        "drift": history(call, endpoint),
        "estimates": list(attempted(call, "monitoring.estimates", endpoint=endpoint, method="") or ()),
        "alerts": _alerts(call("monitoring.alerts", endpoint=endpoint, limit=MOST_ALERTS)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in found.items():
            if rows:
                pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written ({error.strerror}).", "Name another folder.") from None
    return {name: len(rows) for name, rows in found.items()}


def _windows(call: Call, endpoint: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for column in dict.fromkeys(columns):
        for window in attempted(call, "monitoring.windows", endpoint=endpoint, column=column) or ():
            metrics: Mapping[str, float] = window["metrics"]
            same = {name: window[name] for name in ("start", "end", "column", "value", "predictions", "labelled")}
            same |= {"endpoint": endpoint, "complete": window["complete"], "mature": window["mature"]}
            for name in metrics:
                if not name.endswith(("_low", "_high")):
                    span = {edge: metrics.get(f"{name}_{edge}") for edge in ("low", "high")}
                    yield same | {"metric": name, "metric_value": metrics[name]} | span


def _alerts(alerts: Sequence[Mapping[str, Any]]) -> Rows:
    return [{name: value for name, value in alert.items() if name != "details"} for alert in alerts]

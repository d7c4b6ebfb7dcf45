"""Loopline's drift report: both sides profiled from rows (the reference with its own days), then compared."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as parquet
from asked import answer

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import sketching
from loopline.usecases.monitoring.model.reporting import report


def compare(reference: Any, current: Any, texts: list[str]) -> bool:
    names = [name for name in reference.column_names if name != "event_time"]
    columns = tuple(Column(name, "string" if name in texts else "float", True) for name in names)
    signature = Signature(columns, Column("prediction", "float"))
    then = sketching.profile(reference, signature, event_time="event_time")
    found = report(then, sketching.profile(current, signature, like=then), "day")
    return bool(found.alarm)


if __name__ == "__main__":
    answer(parquet.read_table, compare)

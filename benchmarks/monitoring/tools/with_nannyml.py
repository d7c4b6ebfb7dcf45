"""NannyML's univariate drift with its defaults; the reference is cut in chunks by day. An alarm: any column's."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from asked import answer, frames

warnings.filterwarnings("ignore")

import nannyml  # noqa: E402
import pandas  # noqa: E402


def compare(reference: Any, current: Any, texts: list[str]) -> bool:
    columns = [name for name in reference.columns if name != "event_time"]
    dated = "event_time" in reference.columns
    by = {"timestamp_column_name": "event_time", "chunk_period": "D"} if dated else {"chunk_number": 30}
    found = nannyml.UnivariateDriftCalculator(
        column_names=columns, treat_as_categorical=[name for name in columns if name in texts], **by
    ).fit(reference)
    rows = current
    if dated:  # one chunk, whatever days its rows are from
        rows = current.assign(event_time=pandas.Timestamp("2014-06-01", tz="UTC"))
    else:
        found.chunker = (
            nannyml.chunk.CountBasedChunker(chunk_number=1)
            if hasattr(nannyml.chunk, "CountBasedChunker")
            else found.chunker
        )
    told = found.calculate(rows).filter(period="analysis").to_df()
    return bool(told.xs("alert", axis=1, level=2).to_numpy().any())


answer(frames, compare)
sys.stdout.flush()
os._exit(0)  # one of its libraries aborts when the interpreter ends

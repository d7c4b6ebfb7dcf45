"""How long an evaluation of 100,000 predictions takes: all anew, after one more record of truth, and the parts of it.

Thirteen weeks, sixteen carriers as slices, 14 inputs, one record of truth a prediction. `python windows.py`
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import MonitorConfig
from loopline.usecases.monitoring.model.evaluation import evaluate
from loopline.usecases.monitoring.model.truth import joined

ROWS, DAYS = 100_000, 91
MOMENT = pa.timestamp("ms", tz="UTC")
NUMBERS = [f"x{i}" for i in range(13)]


def logs(rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Predictions and their truth, which comes five hours after the event."""
    events = np.sort((rng.random(ROWS) * DAYS * 86_400_000).astype("int64")) + 1_364_774_400_000
    late = (rng.random(ROWS) < 0.25).astype(float)
    ids = pa.array([f"{i:021d}" for i in range(ROWS)])
    columns: dict[str, Any] = {
        "id": ids, "model": ["late"] * ROWS, "version": np.ones(ROWS, dtype="int32"), "at": pa.array(events, MOMENT),
        "event_time": pa.array(events, MOMENT), "key": pa.nulls(ROWS, pa.string()),
        "prediction": 1 / (1 + np.exp(1 - late - rng.normal(size=ROWS))),
        "latency_us": rng.integers(100, 300, ROWS).astype("int32"),
        "carrier": np.array([f"C{i}" for i in range(16)])[rng.integers(0, 16, ROWS)],
    }  # fmt: skip
    truth = {
        "prediction_id": ids, "key": pa.nulls(ROWS, pa.string()), "event_time": pa.nulls(ROWS, MOMENT), "value": late,
        "observed_at": pa.array(events + 5 * 3_600_000, MOMENT), "received_at": pa.array(events, MOMENT),
        "seq": np.arange(ROWS),
    }  # fmt: skip
    return pa.table(columns | {name: rng.normal(size=ROWS) for name in NUMBERS}), pa.table(truth)


def main() -> None:
    predictions, truth = logs(np.random.default_rng(1))
    inputs = (*(Column(name, "float") for name in NUMBERS), Column("carrier", "string"))
    signature = Signature(inputs, Column("prediction", "float"))
    config = MonitorConfig(slices=("carrier",))

    def run(known: Any, records: pa.Table) -> Any:
        began = time.process_time()
        found = evaluate(predictions, records, config, known, lambda model, version: (signature, None))
        print(f"{len(found.windows)} windows, {found.changed} computed: {time.process_time() - began:.2f} CPU s")
        return {(window.start, window.column, window.value): (mark, window) for mark, window in found.windows}

    known = run({}, truth)
    changed = {"value": [1 - truth["value"][0].as_py()], "seq": [ROWS]}
    corrected = truth.slice(0, 1).drop_columns(list(changed)).to_pydict() | changed
    run(known, pa.concat_tables([truth, pa.table(corrected, schema=truth.schema)]).combine_chunks())
    began = time.process_time()
    joined(predictions, truth)
    print(f"the join of truth alone: {time.process_time() - began:.2f} CPU s")


if __name__ == "__main__":
    main()

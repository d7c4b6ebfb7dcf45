"""A hundred looks at batches of 200 rows: false alarms, and how many batches until a shift by 0.1 sd is seen. `python looks.py`

January to March of flights, dealt at random; the e-detector as the monitor runs it (one column, its evidence against
1 / 0.01), beside KS at p < 0.05 for each batch, and the number of batches at which the best test of a known shift between
normal laws would stand (log 100 nats over the information of a batch). Tilts and the tolerance of 0.03 sd were chosen on
simulated normal scores, not on these rows. "days": the batches are parts of real days against 45 other days of the
quarter.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
from columns import flights
from drift import DAY_MS, MOMENT, dealt, months_of, pick
from planted import columns_of
from scipy.stats import kstwobign

from loopline.core.tables import Column, Signature
from loopline.kit.detectors import Detector
from loopline.usecases.monitoring.model import sketching
from loopline.usecases.monitoring.model.drifts.judging import Part, Rules, judged
from loopline.usecases.monitoring.model.drifts.reports import DriftCell
from loopline.usecases.monitoring.model.drifts.watching import evidence
from loopline.usecases.monitoring.model.reporting import trained

BATCH, LOOKS, RUNS = 200, 100, 25
BOUND = math.log(1 / 0.01)


def cell(reference: Any, wanted: Signature, column: str, rows: np.ndarray) -> DriftCell:
    made = sketching.profile(pa.table({column: pa.array(rows, from_pandas=True)}), wanted, like=reference.profile)
    one = judged([Part(reference, made)], Rules(window="day")).columns[0]
    return DriftCell(
        start="", end="", column=column, kind="input", p_value=one.p_value, e_value=None, effect=0.0, unit="",
        direction="", change="", alarm=False, p_values=one.p_values, scores=one.scores,
    )  # fmt: skip


def first_alarm(cells: list[DriftCell]) -> int | None:
    """After how many batches the evidence is enough; None for never."""
    detectors: dict[str, Detector] = {}
    for place, one in enumerate(cells, 1):
        log = evidence(detectors, one, BOUND)
        if log is not None and log >= BOUND:
            return place
    return None


def ks_alarms(known: np.ndarray, batches: list[np.ndarray]) -> bool:
    for rows in batches:
        at = np.sort(rows[np.isfinite(rows)])
        gap = np.abs(np.searchsorted(known, at, "right") / len(known) - np.arange(1, len(at) + 1) / len(at)).max()
        if kstwobign.sf(gap * math.sqrt(len(at))) < 0.05:
            return True
    return False


def main() -> None:
    quarter = pick(flights(), months_of(flights()) <= 3)
    known = columns_of(quarter)
    print(
        "| column | runs | false alarms in 100 looks | KS per batch | batches until + 0.1 sd is seen: mean, 90 % | bound |"
    )
    print("|---|---|---|---|---|---|")
    for column in ("score", "air_time", "normal"):
        rng, values = np.random.default_rng(len(column)), known[column]
        reference, wanted = dealt(column, values, BATCH, rng)
        ordered = np.sort(values[np.isfinite(values)])
        step = 0.1 * np.nanstd(values)
        step = round(step) if column in ("air_time", "dep_delay") else step
        false, ks, delays = [], [], []
        for _ in range(RUNS):
            batches = [values[rng.integers(0, len(values), BATCH)] for _ in range(LOOKS)]
            false.append(first_alarm([cell(reference, wanted, column, rows) for rows in batches]) is not None)
            ks.append(ks_alarms(ordered, batches))
            moved = [cell(reference, wanted, column, rows + step) for rows in batches[:25]]
            delays.append(first_alarm(moved) or 26)
        bound = math.log(100) / (BATCH * 0.01 / 2)
        told = f"{np.mean(delays):.1f}, {np.quantile(delays, 0.9):.0f}"
        print(
            f"| {column} | {RUNS} | {100 * np.mean(false):.1f} % | {100 * np.mean(ks):.0f} % | {told} | {bound:.1f} |",
            flush=True,
        )
    days(quarter, known)


def days(quarter: pa.Table, known: dict[str, np.ndarray]) -> None:
    """Real days as batches: each even day of the quarter in its order, against the odd ones."""
    day = np.asarray(quarter["event_time"].cast("int64")) // DAY_MS
    print("\n| real days, 45 looks | first alarm, nothing planted | + 0.5 sd |\n|---|---|---|")
    for column in ("air_time", "dep_delay", "distance", "score"):
        values = known[column]
        wanted = Signature((Column(column, "float", True),), Column("y", "float"))
        odd = day % 2 == 1
        rows = pa.table(
            {column: pa.array(values[odd], from_pandas=True), "event_time": pa.array(day[odd] * DAY_MS, MOMENT)}
        )
        reference = trained(sketching.profile(rows, wanted, event_time="event_time"))
        even = [values[day == date] for date in np.unique(day) if date % 2 == 0]
        quiet = first_alarm([cell(reference, wanted, column, rows) for rows in even])
        step = 0.5 * np.nanstd(values)
        moved = first_alarm([cell(reference, wanted, column, rows + step) for rows in even])
        print(f"| {column} | {quiet or 'none'} | {moved or 'none'} |", flush=True)


if __name__ == "__main__":
    main()

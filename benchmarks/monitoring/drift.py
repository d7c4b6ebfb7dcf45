"""Speed, false alarms and power of the drift report on real flights. `python drift.py [--even]`

What can be chosen (how heavy tails are taken to be, how much weight few periods get, how much further months lie apart than
weeks) was chosen on even months; what is printed is of odd ones (`--even`: the others). All columns are THIRTEEN.

False alarms: a window against the other windows of its kind, of one month (days), one quarter (weeks) or one season
(months: of three, and of half a year). "shuffled" deals the rows of a month to its days at random. Beside our report at
its default of 1 % stand the usual tests of rows: KS and chi-square at p < 0.05 with Bonferroni's correction, and PSI > 0.1.
Power: windows of 500 and 2,000 rows drawn at random against January to March dealt at random into periods as large, one
change planted in one column, at 1 % a column. Beside it the most powerful of the single tests of `single.py` at 1 %.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from columns import FIFTEEN, TEXTS, THIRTEEN, flights, signature
from planted import PLANTED, columns_of
from scipy.stats import chi2_contingency, ks_2samp
from single import best_single

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import sketching
from loopline.usecases.monitoring.model.drifts.judging import Part, Rules, judged
from loopline.usecases.monitoring.model.drifts.reports import DriftReport
from loopline.usecases.monitoring.model.profile import encode
from loopline.usecases.monitoring.model.reporting import report, trained

SIGNATURE = signature(THIRTEEN)
DAY_MS = 86_400_000
MOMENT = pa.timestamp("ms", tz="UTC")
TRIALS = 120


def days_of(table: pa.Table) -> np.ndarray:
    return np.asarray(table["event_time"].cast("int64")) // DAY_MS


def months_of(table: pa.Table) -> np.ndarray:
    return np.asarray(table["event_time"].to_numpy().astype("datetime64[M]").astype(int) % 12 + 1)


def pick(table: pa.Table, mask: np.ndarray) -> pa.Table:
    return table.filter(pa.array(mask))


def ours(reference: pa.Table, now: pa.Table, window: str) -> DriftReport:
    then = sketching.profile(reference, SIGNATURE, event_time="event_time")
    return report(then, sketching.profile(now, SIGNATURE, like=then), window)


def rowwise(reference: pa.Table, now: pa.Table) -> bool:
    """KS and chi-square on rows, Bonferroni over columns."""
    return any(row_p(reference[name], now[name], name) < 0.05 / len(THIRTEEN) for name in THIRTEEN)


def row_p(then: Any, now: Any, name: str) -> float:
    if name not in TEXTS:
        return float(ks_2samp(*(column.drop_null().to_numpy() for column in (then, now))).pvalue)
    counts = [
        dict(zip(*(part.to_pylist() for part in column.value_counts().flatten()), strict=True))
        for column in (then, now)
    ]
    names = sorted({str(key) for side in counts for key in side})
    table = np.array([[side.get(key, 0) for key in names] for side in counts])
    return float(chi2_contingency(table).pvalue)


def psi(reference: pa.Table, now: pa.Table) -> bool:
    """Population stability index above 0.1 in any numeric column."""
    for name in THIRTEEN:
        if name in TEXTS:
            continue
        then, current = (table[name].drop_null().to_numpy() for table in (reference, now))
        edges = np.unique(np.quantile(then, np.linspace(0, 1, 11)))[1:-1]
        shares = [np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1) for side in (then, current)]
        p, q = (np.maximum(side / side.sum(), 1e-4) for side in shares)
        if float(((q - p) * np.log(q / p)).sum()) > 0.1:
            return True
    return False


def shuffled(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """The same rows, each with the time of another."""
    times = rng.permutation(table["event_time"].to_numpy())
    return table.set_column(table.column_names.index("event_time"), "event_time", pa.array(times, MOMENT))


Case = tuple[pa.Table, pa.Table, str]


def each(
    rows: pa.Table, code: np.ndarray, window: str, wanted: Callable[[int], bool], every: int = 1
) -> Iterator[Case]:
    """Each wanted window against the others."""
    for value in [int(value) for value in np.unique(code) if wanted(int(value))]:
        yield pick(rows, code != value), pick(rows, code == value), window


def cases(table: pa.Table, kind: str, half: int, rng: np.random.Generator) -> Iterator[Case]:
    month = months_of(table)
    if kind in ("another day of the month", "the month shuffled"):
        for number in range(2 - half, 13, 2):
            rows = pick(table, month == number)
            rows = shuffled(rows, rng) if kind == "the month shuffled" else rows
            yield from each(rows, days_of(rows), "day", lambda day: True)
    elif kind == "another week of the quarter":
        for quarter in range(4):
            rows = pick(table, (month - 1) // 3 == quarter)
            week, of = (days_of(rows) + 3) // 7, months_of(rows)
            full = {int(one) for one in np.unique(week) if len(np.unique(days_of(rows)[week == one])) == 7}
            mine = {one for one in full if int(of[week == one][0]) % 2 == half}
            yield from each(rows, week, "week", mine.__contains__)
    else:
        size = 3 if "three" in kind else 6
        for first in range(3, 13, 3) if size == 3 else (4, 10):
            rows = pick(table, (month - first) % 12 < size)
            yield from each(rows, months_of(rows), "month", lambda one: one % 2 == half)


KINDS = (
    "the month shuffled", "another day of the month", "another week of the quarter", "another month of three",
    "another month of the half-year",
)  # fmt: skip


def false_alarms(table: pa.Table, half: int, rng: np.random.Generator) -> None:
    print(
        "\n| false alarms | reports | ours | columns named | KS, chi-square p < 0.05 | PSI > 0.1 |\n|---|---|---|---|---|---|"
    )
    for kind in KINDS:
        found, beside, named = [], [], set[str]()
        for place, (then, now, window) in enumerate(cases(table, kind, half, rng)):
            told = ours(then, now, window)
            found.append(told.alarm)
            named |= {column.name for column in told.columns if column.alarm}
            if place % 5 == 0:
                beside.append((rowwise(then, now), psi(then, now)))
        shares = [f"{100 * np.mean(column):.0f} %" for column in zip(*beside, strict=True)]
        alarms = f"{100 * np.mean(found):.1f} %"
        print(f"| {kind} | {len(found)} | {alarms} | {', '.join(sorted(named))} | {' | '.join(shares)} |", flush=True)


def power(table: pa.Table, size: int, rng: np.random.Generator) -> None:
    print(f"\n| {size:,} rows: planted | ours | nothing planted | best single test | |\n|---|---|---|---|---|")
    known = columns_of(pick(table, months_of(table) <= 3))
    references: dict[str, Any] = {}
    for name, (column, plant) in PLANTED.items():
        values = known[column]
        if column not in references:
            references[column] = dealt(column, values, size, rng)
        reference, wanted = references[column]

        def judge(rows: Any, column: str = column, reference: Any = reference, wanted: Any = wanted) -> float:
            made = sketching.profile(
                pa.table({column: pa.array(rows, from_pandas=True)}), wanted, like=reference.profile
            )
            return judged([Part(reference, made)], Rules(window="day")).columns[0].p_value or 0.0

        drawn = [values[rng.integers(0, len(values), size)] for _ in range(TRIALS)]
        changed = [plant(rows, rng) for rows in drawn]
        hits = np.mean([judge(rows) <= 0.01 for rows in changed])
        quiet = np.mean([judge(rows) <= 0.01 for rows in drawn])
        best, single = best_single(values, changed, drawn)
        print(f"| {name} | {hits:.3f} | {quiet:.3f} | {best:.3f} | {single} |", flush=True)


def dealt(column: str, values: np.ndarray, size: int, rng: np.random.Generator) -> tuple[Any, Signature]:
    """All rows dealt at random into periods of `size`."""
    count = len(values) // size
    order = rng.permutation(len(values))[: count * size]
    times = pa.array(np.repeat(np.arange(count) * DAY_MS, size), MOMENT)
    wanted = Signature((Column(column, "string" if values.dtype == object else "float", True),), Column("y", "float"))
    rows = pa.table({column: pa.array(values[order], from_pandas=True), "event_time": times})
    return trained(sketching.profile(rows, wanted, event_time="event_time")), wanted


def real_days(table: pa.Table, rng: np.random.Generator) -> None:
    """The same changes on real days, whole reports of one column: what days already do cannot be told from a change."""
    quarter = pick(table, months_of(table) <= 3)
    day, known = days_of(quarter), columns_of(quarter)
    print(
        "\n| planted in real even days, against the odd ones of the quarter | alarm | nothing planted |\n|---|---|---|"
    )
    for name, (column, plant) in PLANTED.items():
        values = known[column]
        kind = "string" if values.dtype == object else "float"
        wanted = Signature((Column(column, kind, True),), Column("y", "float"))
        odd = pa.table({column: pa.array(values[day % 2 == 1], from_pandas=True),
                        "event_time": pick(quarter, day % 2 == 1)["event_time"]})  # fmt: skip
        reference = trained(sketching.profile(odd, wanted, event_time="event_time"))
        found: list[tuple[bool, bool]] = []
        for date in [date for date in np.unique(day) if date % 2 == 0]:
            rows = values[day == date]
            pair = [
                sketching.profile(pa.table({column: pa.array(one, from_pandas=True)}), wanted, like=reference.profile)
                for one in (plant(rows, rng), rows)
            ]
            told = [judged([Part(reference, one)], Rules(window="day")).columns[0].p_value for one in pair]
            found.append((told[0] <= 0.01, told[1] <= 0.01))
        shares = np.mean(found, axis=0)
        print(f"| {name} | {100 * shares[0]:.0f} % | {100 * shares[1]:.0f} % |", flush=True)


def timed(name: str, work: Callable[[], Any], times: int = 3) -> Any:
    best, answer = float("inf"), None
    for _ in range(times):
        began = time.process_time()
        answer = work()
        best = min(best, time.process_time() - began)
    print(f"| {name} | {best:.3f} |", flush=True)
    return answer


def speed(table: pa.Table) -> None:
    wanted, rng = signature(FIFTEEN), np.random.default_rng(0)
    print("\n| CPU seconds, best of 3 | |\n|---|---|")
    made = timed("profile 336,776 x 15", lambda: sketching.profile(table, wanted))
    usual = timed("the same with its days and weeks", lambda: sketching.profile(table, wanted, event_time="event_time"))
    timed("drift report from two profiles of 15 columns, the first of a reference", lambda: report(usual, made, "day"))
    reference = trained(usual)
    timed("another report with the same reference", lambda: judged([Part(reference, made)], Rules(window="day")))
    half, rest = (pick(table, days_of(table) % 2 == number) for number in (0, 1))
    timed("scipy's KS and chi-square, one half against the other, 13 columns", lambda: rowwise(half, rest), 1)
    days = np.repeat(np.arange(50) * DAY_MS, 20_000)
    wide = pa.table({f"x{i}": rng.normal(size=1_000_000) for i in range(20)} | {"event_time": pa.array(days, MOMENT)})
    many = signature(tuple(name for name in wide.column_names if name != "event_time"))
    big = timed(
        "profile 1,000,000 x 20 floats with its 50 days",
        lambda: sketching.profile(wide, many, event_time="event_time"),
        1,
    )
    timed("drift report from two profiles of 20 columns, the first of a reference", lambda: report(big, big, "day"))
    reference = trained(big)
    timed("another report with the same reference", lambda: judged([Part(reference, big)], Rules(window="day")))
    sizes = sorted(
        len(encode(sketching.Profile(rows=1, columns=(column,)))) for column in (*usual.columns, *big.columns)
    )
    print(f"\nstored profile: largest column {sizes[-1]:,} bytes, median {sizes[len(sizes) // 2]:,}")


def main() -> None:
    table = flights()
    speed(table)
    false_alarms(table, 0 if "--even" in sys.argv else 1, np.random.default_rng(2013))
    for size in (2000, 500):
        power(table, size, np.random.default_rng(size))
    real_days(table, np.random.default_rng(1))


if __name__ == "__main__":
    main()

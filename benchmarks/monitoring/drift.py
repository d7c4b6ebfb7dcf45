"""Speed, false alarms and power of the drift report on real flights. `python drift.py`

False alarms: "other day" compares each day of a month with that month's other days; "other week" each week of January to
March with the other weeks; "shuffled" takes as many rows at random from the whole month instead. Beside our report (an
alarm is a window that is more unusual than every period of its reference) stand the usual row-wise tests: KS and
chi-square at p < 0.05 with Bonferroni's correction, and PSI > 0.1 in deciles. No threshold was chosen on these data.
Power: January to March, even days judged by odd ones, one change planted in one column of the day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from columns import FIFTEEN, TEXTS, THIRTEEN, flights, signature
from scipy.stats import chi2_contingency, ks_2samp

from loopline.usecases.monitoring.model import sketching
from loopline.usecases.monitoring.model.profile import encode
from loopline.usecases.monitoring.model.reporting import report

SIGNATURE = signature(THIRTEEN)
DAY_MS = 86_400_000


def days_of(table: pa.Table) -> np.ndarray:
    return np.asarray(table["event_time"].cast("int64")) // DAY_MS


def ours(reference: pa.Table, now: pa.Table, window: str) -> bool:
    """Whether the window is more unusual than each period of its reference."""
    then = sketching.profile(reference, SIGNATURE, event_time="event_time")
    found = report(then, sketching.profile(now, SIGNATURE, like=then), window)
    return found.p_value is not None and found.p_value <= 1 / (1 + found.periods) + 1e-9


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


def pick(table: pa.Table, mask: np.ndarray) -> pa.Table:
    return table.filter(pa.array(mask))


def false_alarms(table: pa.Table, rng: np.random.Generator) -> None:
    print("\n| false alarms | reports | ours | KS, chi-square p < 0.05 | PSI > 0.1 |\n|---|---|---|---|---|")
    day = days_of(table)
    month = (table["event_time"].to_numpy().astype("datetime64[M]")).astype(int)
    for name, windows in (("other day of the month", "day"), ("shuffled month", "shuffled"), ("other week", "week")):
        found = list(cases(table, day, month, windows, rng))
        results = [
            (ours(then, now, "week" if windows == "week" else "day"), rowwise(then, now), psi(then, now))
            for then, now in found
        ]
        shares = [f"{100 * np.mean(column):.1f} %" for column in zip(*results, strict=True)]
        print(f"| {name} | {len(results)} | {' | '.join(shares)} |", flush=True)


def cases(table: pa.Table, day: np.ndarray, month: np.ndarray, kind: str, rng: np.random.Generator) -> Any:
    if kind == "week":
        first = pick(table, day < np.datetime64("2013-04-01", "D").astype(int))
        week = (days_of(first) + 3) // 7
        for code in np.unique(week)[1:-1]:
            yield pick(first, week != code), pick(first, week == code)
        return
    for code in np.unique(month)[::3]:
        rows = pick(table, month == code)
        inside = days_of(rows)
        for date in np.unique(inside)[::2]:
            chosen = inside == date
            if kind == "shuffled":
                chosen = rng.permutation(chosen)
            yield pick(rows, ~chosen), pick(rows, chosen)


def planted() -> dict[str, Callable[[pa.Table, np.random.Generator], pa.Table]]:
    """One change in one column each; numbers are changed by the column's own standard deviation."""

    def number(name: str, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Any:
        def apply(table: pa.Table, rng: np.random.Generator) -> pa.Table:
            values = change(table[name].to_numpy().astype(float), rng)
            return table.set_column(table.column_names.index(name), name, pa.array(values, from_pandas=True))

        return apply

    def text(name: str, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Any:
        def apply(table: pa.Table, rng: np.random.Generator) -> pa.Table:
            values = change(np.asarray(table[name].to_pylist(), dtype=object), rng)
            return table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))

        return apply

    return {
        "air_time +0.1 sd": number("air_time", lambda x, rng: x + 0.1 * np.nanstd(x)),
        "air_time x1.15 spread": number("air_time", lambda x, rng: np.nanmean(x) + 1.15 * (x - np.nanmean(x))),
        "distance 3 % missing": number("distance", lambda x, rng: np.where(rng.random(len(x)) < 0.03, np.nan, x)),
        "air_time 5 % in seconds": number("air_time", lambda x, rng: np.where(rng.random(len(x)) < 0.05, x * 60, x)),
        "dest 0.5 % new": text("dest", lambda x, rng: np.where(rng.random(len(x)) < 0.005, "ZZZ", x)),
        "origin JFK and LGA swapped": text(
            "origin", lambda x, rng: np.where(x == "JFK", "LGA", np.where(x == "LGA", "JFK", x))
        ),
    }


def power(table: pa.Table, rng: np.random.Generator) -> None:
    quarter = pick(table, days_of(table) < np.datetime64("2013-04-01", "D").astype(int))
    day = days_of(quarter)
    reference = pick(quarter, day % 2 == 1)
    then = sketching.profile(reference, SIGNATURE, event_time="event_time")
    current = [pick(quarter, day == date) for date in np.unique(day) if date % 2 == 0]
    print(f"\nPower on whole days (about {len(quarter) // 90} rows), {len(then.usual['day'].rows)} days of reference:")
    print("\n| planted | alarm | the column comes first |\n|---|---|---|")
    for name, plant in {"nothing": None, **planted()}.items():
        alarms, first = [], []
        for rows in current:
            found = report(then, sketching.profile(plant(rows, rng) if plant else rows, SIGNATURE, like=then), "day")
            alarms.append((found.p_value or 1) <= 1 / (1 + found.periods) + 1e-9)
            first.append(found.columns[0].name == name.split()[0])
        print(f"| {name} | {100 * np.mean(alarms):.0f} % | {100 * np.mean(first):.0f} % |", flush=True)


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
    timed("drift report from two profiles of 15 columns", lambda: report(usual, made, "week"))
    half = pick(table, days_of(table) % 2 == 0)
    rest = pick(table, days_of(table) % 2 == 1)
    timed("plain scipy KS and chi-square, one half against the other", lambda: rowwise(half, rest), 1)
    wide = pa.table({f"x{i}": rng.normal(size=1_000_000) for i in range(20)})
    many = signature(tuple(wide.column_names))
    big = timed("profile 1,000,000 x 20 floats", lambda: sketching.profile(wide, many))
    timed("drift report from two profiles of 20 columns", lambda: report(big, big, "week"))
    timed("numpy, two sorts a column for KS, 1,000,000 x 20", lambda: [np.sort(c.to_numpy()) for c in wide.columns], 1)
    sizes = sorted(
        len(encode(sketching.Profile(rows=1, columns=(column,)))) for column in (*usual.columns, *big.columns)
    )
    print(f"\nstored profile: largest column {sizes[-1]:,} bytes, median {sizes[len(sizes) // 2]:,};", end=" ")
    print(f"days and weeks of 15 columns {len(encode(usual)) - len(encode(made)):,} bytes more")


def main() -> None:
    table, rng = flights(), np.random.default_rng(2013)
    pc.count(table["carrier"])
    speed(table)
    false_alarms(table, rng)
    power(table, rng)


if __name__ == "__main__":
    main()

"""How wrong performance is estimated before its truth, week by week: ours beside NannyML's CBPE. `python estimates.py`

Flights: the model of examples/late-arrival, trained on the flights that had landed by 1 April 2013, judged on every week to
December. Landing is known within hours, so the delay of truth is planted: four weeks, but for some rows whose truth comes
within two days of the event, flights that were late a half more often than punctual ones ("early" below). An estimate is what was said of
a week at its end. Census: the employment table that NannyML ships, with its scores, 5,000 rows a "week" in the order in
which they are. F1 at a threshold of 0.25 (flights) and 0.5 (census), errors in points.

Settings were chosen on every other week of flights, from the first of those reported ("chosen on"); the weeks between
them ("fresh") and the census table were not looked at for choosing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from beside import python_of, version_of
from estimates_look import MOMENT, Table

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import MonitorConfig

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "late-arrival"
DAY, WEEK = 86_400_000, 7 * 86_400_000
APRIL = int(np.datetime64("2013-04-01", "ms").astype("int64"))
DELAY_DAYS, METRICS, METHODS = 29.0, ("f1", "auc"), ("cbpe", "features", "arrived", "weighted", "mix")


@dataclass(frozen=True)
class Case:
    """Rows with `event_time`, `prediction`, `value`; the first `reference` weeks are history, reported are the weeks from
    `reported` until `weeks`."""

    name: str
    rows: pa.Table
    inputs: tuple[Column, ...]
    threshold: float
    reference: int
    reported: int
    weeks: int

    def times(self) -> np.ndarray:
        return np.asarray(self.rows["event_time"].cast("int64"))


def flights() -> Case:
    """Every landed flight from April on, scored by the model of the first of April."""
    sys.path.insert(0, str(EXAMPLE))
    import features
    import flights as published
    import modelling
    import pandas as pd

    frame = features.featurize(published.read_flights(), published.read_weather())
    first = pd.Timestamp("2013-04-01", tz="UTC")
    model = modelling.fit(modelling.split(frame[frame["landed_at"] <= first], 14)[0])
    frame = frame[frame["late"].notna() & (frame["event_time"] >= first)]
    columns: dict[str, Any] = {name: pa.array(frame[name], from_pandas=True) for name in features.INPUTS}
    moments = frame["event_time"].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype("int64")
    columns |= {"event_time": pa.array(moments, MOMENT), "value": frame["late"].to_numpy(dtype=float)}
    columns["prediction"] = modelling.probabilities(model, frame)
    texts = tuple(Column(name, "string", True) for name in features.TEXTS)
    inputs = (*texts, *(Column(name, "float", True) for name in features.NUMBERS))
    return Case("flights", pa.table(columns), inputs, 0.25, 8, 12, 39)


def census(folder: Path) -> Case:
    """NannyML's employment table; 5,000 rows stand for a week."""
    tool = str(HERE / "tools" / "estimates_nannyml.py")
    subprocess.run([python_of("nannyml"), tool, "census", str(folder)], check=True, capture_output=True)
    table = parquet.read_table(folder / "census.parquet")
    size, count = 5_000, len(table)
    places = np.arange(count)
    moments = APRIL + places // size * WEEK + (places % size) * (WEEK // size)
    names = [
        n for n in table.column_names if n not in ("id", "employed", "prediction", "predicted_probability", "part")
    ]
    inputs = tuple(Column(n, "float" if pa.types.is_floating(table[n].type) else "string", True) for n in names)
    columns = {n: table[n] for n in names} | {"event_time": pa.array(moments, MOMENT)}
    columns |= {"value": table["employed"].cast("float64"), "prediction": table["predicted_probability"]}
    reference = sum(1 for part in table["part"].to_pylist() if part == "reference") // size
    return Case("census", pa.table(columns), inputs, 0.5, reference, reference, min(count // size, reference + 27))


def told_after(case: Case, share: float, seed: int = 7) -> np.ndarray:
    """Days after the event on which truth is known."""
    rng, truth = np.random.default_rng(seed), np.asarray(case.rows["value"])
    early = rng.random(len(truth)) < share * np.where(truth > 0.5, 1.2, 0.8)
    return np.where(early, 2 * rng.random(len(truth)), 28 + rng.random(len(truth)))


def ours(case: Case, share: float) -> dict[str, dict[str, Any]]:
    """What was said of each week at its end, by start and "metric method", looking each week."""
    count = len(case.rows)
    told = case.times() + (told_after(case, share) * DAY).astype("int64")
    rows = case.rows.append_column("id", pa.array(np.arange(count).astype(str)))
    rows = rows.append_column("version", pa.array(np.ones(count, dtype="int32"))).append_column(
        "told_at", pa.array(told)
    )
    signature = Signature(case.inputs, Column("prediction", "float"))
    config = MonitorConfig(metric="auc", metrics=("f1",), threshold=case.threshold)
    table = Table(rows, signature, config, {})
    for week in range(case.reference, case.weeks + 7):
        table.look(APRIL + week * WEEK, DELAY_DAYS * 24)
    found: dict[str, dict[str, Any]] = {}
    for _, entry in table.kept.values():
        if entry.metric in METRICS and entry.realized is not None:
            found.setdefault(entry.start[:10], {})[f"{entry.metric} {entry.method}"] = entry
    first = np.datetime64(APRIL + case.reported * WEEK, "ms").astype("datetime64[D]")
    last = np.datetime64(APRIL + case.weeks * WEEK, "ms").astype("datetime64[D]")
    return {start: found[start] for start in sorted(found) if str(first) <= start < str(last)}


def theirs(case: Case, folder: Path) -> dict[str, dict[str, float]]:
    """NannyML's estimates by start of week and metric; its reference is the first weeks."""
    order = np.argsort(case.times(), kind="stable")
    times, chance = case.times()[order], np.asarray(case.rows["prediction"])[order]
    columns = {
        "moment": pa.array(times, pa.timestamp("ms")), "chance": chance,
        "called": (chance > case.threshold).astype("int64"),
    }  # fmt: skip
    whole = pa.table(columns | {"truth": np.asarray(case.rows["value"])[order].astype("int64")})
    before, end = times < APRIL + case.reference * WEEK, times < APRIL + case.weeks * WEEK
    question = {"cut": "week"}
    for name, chosen in (("reference", before), ("analysis", ~before & end)):
        question[name] = str(folder / f"{case.name}-{name}.parquet")
        part = whole.filter(pa.array(chosen))
        parquet.write_table(part if name == "reference" else part.drop_columns(["truth"]), question[name])
    path = folder / "question.json"
    path.write_text(json.dumps(question))
    tool = str(HERE / "tools" / "estimates_nannyml.py")
    done = subprocess.run(
        [python_of("nannyml"), tool, "estimate", str(path)], capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    if not lines:
        print((done.stderr.strip().splitlines() or ["no word"])[-1])
        return {}
    answer = json.loads(lines[-1].removeprefix("ANSWER "))
    mondays = [str(np.datetime64(start, "D")) for start in answer["starts"]]
    return {day: {metric: answer[metric][place] for metric in METRICS} for place, day in enumerate(mondays)}


def line(name: str, errors: np.ndarray, covered: float | None = None) -> None:
    """One line of the table; `errors` of shape (weeks, 2) in points."""
    parts = [errors, errors[::2], errors[1::2]]
    cells = " | ".join(f"{np.abs(part[:, m]).mean():.2f}" for m in range(2) for part in parts)
    print(f"| {name} | {cells} | {'' if covered is None else f'{100 * covered:.0f} %'} |", flush=True)


def compare(case: Case, shares: tuple[float, ...], folder: Path) -> None:
    """Print the table of one case."""
    print(
        f"\n{case.name} | F1 | chosen on | fresh | AUC | chosen on | fresh | intervals held\n|---|---|---|---|---|---|---|---|"
    )
    peers = theirs(case, folder)
    for share in shares:
        began = time.process_time()
        found = ours(case, share)
        spent = time.process_time() - began
        real = np.array([[entries[f"{metric} mix"].realized for metric in METRICS] for entries in found.values()])
        if share == shares[0] and peers:
            values = np.array([[peers.get(day, {}).get(metric, np.nan) for metric in METRICS] for day in found])
            line(f"NannyML {version_of('nannyml')} CBPE", 100 * (values - real))
        print(
            f"| early {100 * share:.0f} %: {len(found)} weeks, {spent / (case.weeks + 7 - case.reference):.2f} CPU s a look |"
        )
        for method in METHODS:
            entries = [[one[f"{metric} {method}"] for metric in METRICS] for one in found.values()]
            errors = np.array([[100 * (e.first_value - e.realized) for e in pair] for pair in entries])
            held = [
                e.first_low <= e.realized <= e.first_high for pair in entries for e in pair if e.first_low is not None
            ]
            line(method, errors, float(np.mean(held)) if held else None)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(flights(), (0.0, 0.1, 0.2), folder)
        compare(census(folder), (0.0, 0.1), folder)


if __name__ == "__main__":
    main()

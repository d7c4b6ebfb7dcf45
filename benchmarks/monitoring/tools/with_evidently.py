"""Evidently's data drift preset with its defaults. An alarm: any column is called drifted."""

from __future__ import annotations

import warnings
from typing import Any

from asked import answer, frames

warnings.filterwarnings("ignore")

from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402


def compare(reference: Any, current: Any, texts: list[str]) -> bool:
    columns = [name for name in reference.columns if name != "event_time"]
    numbers = [name for name in columns if name not in texts]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[name for name in columns if name in texts]
    )
    sides = [Dataset.from_pandas(side[columns], data_definition=definition) for side in (current, reference)]
    found = Report([DataDriftPreset()]).run(*sides).dict()
    counts = [one["value"] for one in found["metrics"] if isinstance(one["value"], dict) and "count" in one["value"]]
    return counts[0]["count"] > 0


answer(frames, compare)

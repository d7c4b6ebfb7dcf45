"""Frouros' KS and chi-square tests by column. An alarm: any p < 0.05 over the number of columns. Empty values are left out,
as it takes none."""

from __future__ import annotations

import warnings
from typing import Any

from asked import answer, frames

warnings.filterwarnings("ignore")

from frouros.detectors.data_drift import ChiSquareTest, KSTest  # noqa: E402


def compare(reference: Any, current: Any, texts: list[str]) -> bool:
    columns = [name for name in reference.columns if name != "event_time"]
    return min(
        [p_value(reference[name].dropna(), current[name].dropna(), name in texts) for name in columns]
    ) < 0.05 / len(columns)


def p_value(then: Any, now: Any, text: bool) -> float:
    detector = ChiSquareTest() if text else KSTest()
    detector.fit(X=then.to_numpy())
    return float(detector.compare(X=now.to_numpy())[0].p_value)


answer(frames, compare)

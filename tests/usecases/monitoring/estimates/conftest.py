"""Rows whose truth comes weeks later, from a world whose rules are known."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.core.tables import Column, Signature
from loopline.usecases.monitoring.model import MonitorConfig

DAY, WEEK = 86_400_000, 7 * 86_400_000
APRIL = int(np.datetime64("2013-04-01", "ms").astype("int64"))  # a Monday
SIGNATURE = Signature(
    (Column("wind", "float"), Column("rain", "float", True), Column("carrier", "string")), Column("late", "float")
)


def tables() -> Any:
    """The look at a table in memory, which the benchmark uses too."""
    path = Path(__file__).parents[4] / "benchmarks" / "monitoring" / "estimates_look.py"
    spec = importlib.util.spec_from_file_location("estimates_look", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Table


class World:
    """`weeks` of rows. Truth follows wind, rain and carrier; the score knows wind and carrier alone."""

    april, day, week, signature = APRIL, DAY, WEEK, SIGNATURE

    def __init__(self, weeks: int = 20, per_week: int = 800, seed: int = 1, delay_days: tuple[float, float] = (14, 28)):
        rng = np.random.default_rng(seed)
        count = weeks * per_week
        self.events = np.sort(APRIL + (rng.random(count) * weeks * WEEK).astype("int64"))
        self.week_of = (self.events - APRIL) // WEEK
        self.wind, self.rain = rng.normal(size=count), rng.normal(size=count)
        self.carrier = np.array(["AA", "B6", "UA"])[rng.integers(0, 3, count)]
        self.luck = rng.random(count)
        self.told = self.events + (rng.uniform(*delay_days, count) * DAY).astype("int64")
        self.slope = np.ones(count)  # what wind means for the truth, beside what it meant in training

    def odds(self) -> Any:
        return -1 + 1.5 * self.slope * self.wind + 0.7 * self.rain + 0.5 * (self.carrier == "UA")

    def score(self) -> Any:
        return 1 / (1 + np.exp(-(-0.9 + 1.4 * self.wind + 0.5 * (self.carrier == "UA"))))

    def rows(self, **changes: Any) -> pa.Table:
        truth = (self.luck < 1 / (1 + np.exp(-self.odds()))).astype(float)
        columns = {
            "id": [f"p{i}" for i in range(len(self.events))],
            "event_time": pa.array(self.events, pa.timestamp("ms", tz="UTC")),
            "version": np.ones(len(self.events), dtype="int32"),
            "wind": self.wind, "rain": self.rain, "carrier": self.carrier,
            "prediction": self.score(), "value": truth, "told_at": self.told,
        }  # fmt: skip
        return pa.table(columns | changes)

    def table(self, limits: dict[str, float] | None = None, rules: dict[str, Any] | None = None, **changes: Any) -> Any:
        return tables()(self.rows(**changes), SIGNATURE, MonitorConfig(**(rules or {})), limits or {})

    def at(self, week: float) -> int:
        """The moment so many weeks after the first."""
        return APRIL + int(week * WEEK)


@pytest.fixture
def world() -> type[World]:
    return World

"""Changes that are planted in one column of real flights, each with the column's own unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

Values = np.ndarray
Plant = Callable[[Values, np.random.Generator], Values]


def columns_of(table: pa.Table) -> dict[str, Values]:
    """Columns of flights; `score` is a model's probability (of the departure time and chance), `normal` is noise, `label`
    whether a flight came more than 15 minutes late."""
    rng = np.random.default_rng(5)
    found: dict[str, Any] = {
        name: table[name].to_numpy().astype(float) for name in ("air_time", "dep_delay", "distance")
    }
    planned = (table["sched_dep_time"].to_numpy() - 1300) / 480
    found["score"] = 1 / (1 + np.exp(1.3 - 0.7 * planned - 0.5 * rng.normal(size=len(table))))
    found["normal"] = rng.normal(size=len(table))
    found |= {name: np.asarray(table[name].to_pylist(), dtype=object) for name in ("dest", "origin", "carrier")}
    found["label"] = np.where(table["arr_delay"].to_numpy() > 15, "1", "0").astype(object)
    return found


def shifted(whole: bool = False) -> Plant:
    """By a tenth of the standard deviation; in whole minutes where the column has no others."""

    def plant(x: Values, rng: np.random.Generator) -> Values:
        step = 0.1 * np.nanstd(x)
        return x + (round(step) if whole else step)

    return plant


def spread(whole: bool = False) -> Plant:
    def plant(x: Values, rng: np.random.Generator) -> Values:
        wide = np.nanmean(x) + 1.15 * (x - np.nanmean(x))
        return np.round(wide) if whole else wide

    return plant


def some(share: float, change: Callable[[Values], Any]) -> Plant:
    """A share of the rows changed."""

    def plant(x: Values, rng: np.random.Generator) -> Values:
        return np.where(rng.random(len(x)) < share, change(x), x)

    return plant


def swapped(one: str, other: str) -> Plant:
    return lambda x, rng: np.where(x == one, other, np.where(x == other, one, x))


def odds(x: Values, rng: np.random.Generator) -> Values:
    """Labels 1 with 1.5 times their odds, of a usual share of a quarter."""
    usual = 0.24
    more = 1.5 * usual / (1 - usual) / (1 + 1.5 * usual / (1 - usual))
    return np.where((x == "0") & (rng.random(len(x)) < (more - usual) / (1 - usual)), "1", x)


PLANTED: dict[str, tuple[str, Plant]] = {
    "air time + 0.1 sd": ("air_time", shifted(whole=True)),
    "departure delay + 0.1 sd": ("dep_delay", shifted(whole=True)),
    "score + 0.1 sd": ("score", shifted()),
    "normal noise + 0.1 sd": ("normal", shifted()),
    "air time spread x 1.15": ("air_time", spread(whole=True)),
    "score spread x 1.15": ("score", spread()),
    "normal noise spread x 1.15": ("normal", spread()),
    "distance missing in 3 %": ("distance", some(0.03, lambda x: np.nan)),
    "air time in seconds in 5 %": ("air_time", some(0.05, lambda x: x * 60)),
    "air time in hours in 5 %": ("air_time", some(0.05, lambda x: x / 60)),
    "a new destination in 0.5 %": ("dest", some(0.005, lambda x: "ZZZ")),
    "a new carrier in 0.5 %": ("carrier", some(0.005, lambda x: "ZZZ")),
    "origins EWR and LGA swapped": ("origin", swapped("EWR", "LGA")),
    "origins JFK and LGA swapped": ("origin", swapped("JFK", "LGA")),
    "carriers UA and DL swapped": ("carrier", swapped("UA", "DL")),
    "late, odds x 1.5": ("label", odds),
}

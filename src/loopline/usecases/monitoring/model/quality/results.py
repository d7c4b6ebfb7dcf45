"""What is told about how good predictions are. Without numpy."""

from __future__ import annotations

from typing import Literal

import msgspec

from loopline.usecases.monitoring.model.windows import LabelDelay


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its interval, where one can be told."""

    value: float
    low: float | None = None
    high: float | None = None


class PerformanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """How good the rows of one window and one segment were.

    `truth_share` of its predictions have truth; `arrived` is how much of the truth that ever comes has come (None while it is
    not known how much comes). `state`: mature (hardly any truth is still to come), provisional, or open (the window has not
    ended). `few`: too little truth for a judgement (the monitor's `minimum_labels`).
    """

    start: str
    end: str
    column: str
    value: str
    predictions: int
    labelled: int
    truth_share: float
    arrived: float | None
    state: Literal["mature", "provisional", "open"]
    few: bool
    metrics: dict[str, Estimate]


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """Realized performance of an endpoint by window, of all of it or by the values of one column."""

    endpoint: str
    column: str
    window: str
    metric: str
    limits: dict[str, float]
    mature_until: str
    watermark: str
    rows: list[PerformanceRow]


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with scores alike: their mean score, and how many of them turned out positive, with its interval."""

    rows: int
    predicted: float
    observed: float
    low: float | None = None
    high: float | None = None


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How often what was predicted with some probability came true, over rows with truth of windows since `since`."""

    endpoint: str
    column: str
    value: str
    since: str
    until: str
    labelled: int
    ece: float | None
    ece_low: float | None
    ece_high: float | None
    bins: list[Bin]


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """How late truth comes. `wait_hours` after its end a window is mature; `written` when the monitor says so itself."""

    endpoint: str
    learned: LabelDelay
    wait_hours: float | None
    written: bool
    watermark: str
    mature_until: str


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """How truth arrives: labels an hour, and after how many hours hardly any is still to come (None: not known yet); and
    which inputs the version in use has (none: not known)."""

    labels_per_hour: float | None = None
    wait_hours: float | None = None
    inputs: tuple[str, ...] = ()


class LookAt(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of all days up to the end of `day`; the intervals of all looks hold at once. None in the first four days."""

    day: str
    labelled: int
    value: float
    low: float | None
    high: float | None


class Looks(msgspec.Struct, frozen=True, kw_only=True):
    """How a metric settled since `since`, day after day."""

    endpoint: str
    metric: str
    column: str
    value: str
    since: str
    looks: list[LookAt]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a protected column. `rates` with their intervals; those in `few` rest on too few rows to be compared."""

    value: str
    predictions: int
    labelled: int
    rates: dict[str, Estimate]
    few: tuple[str, ...] = ()


class Disparity(msgspec.Struct, frozen=True, kw_only=True):
    """How far groups are apart in one measure: between the groups `largest` and `smallest`. Under the interval lie all pairs
    of groups at once. None where fewer than two groups can be compared."""

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    largest: str = ""
    smallest: str = ""


class FairnessOf(msgspec.Struct, frozen=True, kw_only=True):
    """The groups of one protected column, and how far they are apart."""

    column: str
    groups: list[Group]
    disparities: list[Disparity]


class Fairness(msgspec.Struct, frozen=True, kw_only=True):
    """Fairness by each protected column, of windows from `since` until `until`."""

    endpoint: str
    since: str
    until: str
    threshold: float
    least: int
    columns: list[FairnessOf]

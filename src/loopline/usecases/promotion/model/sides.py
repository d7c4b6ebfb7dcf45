"""Frozen values of versions measured side by side on the same held-out rows."""

from __future__ import annotations

import msgspec

from loopline.usecases.promotion.model.gates import LatencyEvidence


class Bin(msgspec.Struct, frozen=True):
    """Rows whose predicted probability lies in one tenth: their mean prediction and the share of them that came true."""

    lower: float
    rows: int
    predicted: float
    observed: float


class Calibration(msgspec.Struct, frozen=True):
    """How far probabilities can be believed: the reliability table, and the expected calibration error (Naeini, Cooper
    and Hauskrecht, AAAI 2015, as Guo et al., ICML 2017, write it): the mean of |predicted - observed| over ten tenths of
    equal width, weighted by rows."""

    error: float
    bins: tuple[Bin, ...]


class Score(msgspec.Struct, frozen=True):
    """A metric with its standard error, in which rows of one day count as one witness (None where there is none)."""

    value: float | None
    standard_error: float | None = None


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One version on those rows. `problem` says why it could not be scored; `notes` what to mind."""

    version: int
    problem: str = ""
    scores: dict[str, Score] = {}
    calibration: Calibration | None = None
    latency: tuple[LatencyEvidence, ...] = ()
    notes: tuple[str, ...] = ()


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a column: the metric of each version on its rows, in the order of the versions."""

    column: str
    value: str
    rows: int
    scores: tuple[float | None, ...]


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of one model on the held-out rows of version `held_out_of`. The first metric is that of the slices. Times of
    the rows are empty without an event_time."""

    model: str
    versions: tuple[int, ...]
    held_out_of: int
    label: str
    rows: int
    positives: int
    held_out_from: str
    held_out_until: str
    metrics: tuple[str, ...]
    sides: tuple[Side, ...]
    slices: tuple[Slice, ...]
    measured_at: str
    measured_on: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of a process that may load models. `state`: open, done, failed. `answer` is JSON: what the verb
    answered, or the error's kind, message and hint."""

    id: str
    verb: str
    fields: str
    caller: str
    role: int
    state: str
    answer: str
    asked_at: str

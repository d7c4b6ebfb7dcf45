"""Predictions beside their truth, counted so that parts add up. Only the types are here, without numpy.

`quality.tallying.tallied(rows, config)` makes a Tally, `quality.merging.merged(one, other)` adds two,
`quality.measuring.measured(tallies by start of bucket, config)` makes metrics of them, with intervals.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import get_args

import msgspec

from loopline.core.errors import Invalid
from loopline.core.performance import RegressionMetric
from loopline.usecases.monitoring.model.config import MonitorConfig

FORMAT = 5
BINS = 10
MOST_CLASSES = 200
NEVER_MS = -(1 << 63)
MOST_STRAYS = 0.01


class Binary(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Rows with truth 0 or 1 and a number predicted.

    `negatives` and `positives` count scores by key (`quality/keys.py`), packed; keys are wider by `shift` doublings where different scores are many. The confusion table is at the threshold
    of the monitor (positive is predicted > threshold). `log_loss` and `brier` are sums over rows, exact; `bins` has
    for each of BINS equal parts of 0 to 1: rows, sum of scores, sum of labels.
    """

    shift: int
    negatives: bytes
    positives: bytes
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    log_loss: float
    brier: float
    bins: tuple[tuple[int, float, int], ...]


class Numbers(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Rows with a number as truth and a number predicted; e is predicted less truth.

    `other` of the `count` labels are neither 0 nor 1. `truth_spread` is the sum of squared distances of the truth from its
    own mean. The relative errors |e / truth| are over the `nonzero` rows whose truth is not 0.
    """

    count: int
    other: int
    truth_mean: float
    truth_spread: float
    predicted: float
    error: float
    absolute: float
    squared: float
    fourth: float
    nonzero: int
    relative: float
    relative_squared: float


class Classes(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Rows with a text as truth and a text predicted: how many by (truth, predicted).

    Beyond MOST_CLASSES names those with the largest hashes are one class "": which names stay does not depend on the order
    of merging, and they are a fair sample of the classes. `correct` counts all that were right, folded ones too.
    """

    count: int
    correct: int
    table: dict[str, dict[str, int]]


class Ranking(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Groups of rows ranked together. `sums` and `squares` are over the `complete` groups, whose rows all have truth:
    of ndcg, mrr, map and hit_rate among the first `top` rows."""

    groups: int
    complete: int
    top: int
    sums: tuple[float, float, float, float]
    squares: tuple[float, float, float, float]


class Naive(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The naive forecast of the rows that Binary counts: by key and class, packed, and how many have none."""

    shift: int
    negatives: bytes
    positives: bytes
    missing_negatives: int
    missing_positives: int


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the rows of one bucket of time and one segment. Two of them add up.

    `failed` rows have no prediction. `numbered` predictions are numbers, their sum is `predicted`; `called` of them are above
    the threshold. `binary` is of the
    rows whose truth is 0 or 1: `of_one_kind` says whether that is what the endpoint predicts. `latency` (microseconds) and `delays` (from the event until truth was first known) are
    counts by key, packed. `last_event_ms` and `last_known_ms` are the latest moments seen, NEVER_MS where none.
    """

    rows: int
    labelled: int
    failed: int = 0
    numbered: int = 0
    predicted: float = 0.0
    called: int = 0
    binary: Binary | None = None
    numbers: Numbers | None = None
    classes: Classes | None = None
    ranking: Ranking | None = None
    naive: Naive | None = None
    latency: bytes = b""
    delays: bytes = b""
    last_event_ms: int = NEVER_MS
    last_known_ms: int = NEVER_MS
    format: int = FORMAT


EMPTY = Tally(rows=0, labelled=0)


def of_one_kind(tallies: Sequence[Tally]) -> list[Tally]:
    """The tallies without what their truth as a whole is not: without `binary` where it is numbers.

    Truth of 0 and 1 stays that with a few strays among it (a typing error must not end a metric): at most MOST_STRAYS of
    the labels, or one, beside both 0 and 1. The strays then count as labels, and in no metric.
    """
    numbers = [one.numbers for one in tallies if one.numbers is not None]
    other = sum(one.other for one in numbers)
    if not other:
        return list(tallies)
    binary = [one.binary for one in tallies if one.binary is not None]
    positives = sum(one.true_positive + one.false_negative for one in binary)
    negatives = sum(one.true_negative + one.false_positive for one in binary)
    if other <= max(1, MOST_STRAYS * sum(one.count for one in numbers)) and min(positives, negatives) > other:
        replace = msgspec.structs.replace
        return [one if one.numbers is None else replace(one, numbers=replace(one.numbers, other=0)) for one in tallies]
    return [msgspec.structs.replace(one, binary=None, naive=None) for one in tallies]


def encode(tally: Tally) -> bytes:
    """The tally as MessagePack, in which form it is kept."""
    return msgspec.msgpack.encode(tally)


def decode(content: bytes) -> Tally:
    """The tally kept in `content`; Invalid when it is none."""
    try:
        return msgspec.msgpack.decode(content, type=Tally)
    except msgspec.DecodeError as error:
        raise Invalid(f"A tally of predictions cannot be read: {error}.", "Evaluate the endpoint anew.") from None


def basis(config: MonitorConfig) -> str:
    """Differs when tallies made under one config cannot be added to those of another: when they must be made anew."""
    over = [entry.over for entry in config.quality if entry.over]
    kept = (FORMAT, config.threshold, config.group, config.top if config.group else 0, over[:1], asks_classes(config))
    return f"{zlib.crc32(repr(kept).encode()):08x}"


def asks_classes(config: MonitorConfig) -> bool:
    """Whether a metric of classes is asked for: then whole numbers that are predicted are taken for classes, too."""
    return any(name.startswith("macro_") for name in _asked(config))


def asks_numbers(config: MonitorConfig) -> bool:
    """Whether a metric of numbers is asked for: then it is told of truth that happens to be 0 and 1, too."""
    return any(name in get_args(RegressionMetric) for name in _asked(config))


def _asked(config: MonitorConfig) -> tuple[str, ...]:
    return (config.metric, *config.metrics, *(entry.metric for entry in config.quality))

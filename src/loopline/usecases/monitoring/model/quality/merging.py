"""Tallies added to each other: in any order, in any grouping, the same comes out. Imports numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TypeVar

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.model.quality.confusing import both_of
from loopline.usecases.monitoring.model.quality.keys import Counts, added, fitted, summed, unpacked, wider
from loopline.usecases.monitoring.model.tallies import EMPTY, Binary, Naive, Numbers, Ranking, Tally

Part = TypeVar("Part")
SIDES = ("negatives", "positives")


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them added; EMPTY without any."""
    return reduce(merged, tallies, EMPTY)


def merged(one: Tally, other: Tally) -> Tally:
    """The tally of the rows of both (no row may be in both). Invalid when they rank different numbers of rows.

    Both must have been made under configs of one `basis`.
    """
    if not one.rows or not other.rows:
        return one if one.rows else other
    return Tally(
        rows=one.rows + other.rows,
        labelled=one.labelled + other.labelled,
        failed=one.failed + other.failed,
        numbered=one.numbered + other.numbered,
        predicted=one.predicted + other.predicted,
        called=one.called + other.called,
        binary=_both(one.binary, other.binary, _binary),
        numbers=_both(one.numbers, other.numbers, _numbers),
        classes=_both(one.classes, other.classes, both_of),
        ranking=_both(one.ranking, other.ranking, _ranking),
        naive=_both(one.naive, other.naive, _naive),
        latency=added(one.latency, other.latency),
        delays=added(one.delays, other.delays),
        last_event_ms=max(one.last_event_ms, other.last_event_ms),
        last_known_ms=max(one.last_known_ms, other.last_known_ms),
    )


def _both(one: Part | None, other: Part | None, add: Callable[[Part, Part], Part]) -> Part | None:
    if one is None or other is None:
        return other if one is None else one
    return add(one, other)


def _scores(one: Binary | Naive, other: Binary | Naive) -> tuple[int, bytes, bytes]:
    """(doublings, counts of negatives, counts of positives) of both together."""
    shift = max(one.shift, other.shift)
    negatives, positives = (summed([counts_of(part, side, shift) for part in (one, other)]) for side in SIDES)
    return fitted(negatives, positives, shift)


def counts_of(part: Binary | Naive, side: str, shift: int) -> Counts:
    """Counts of the negatives or positives, by keys of so many doublings."""
    return wider(unpacked(getattr(part, side)), shift - part.shift)


def _binary(one: Binary, other: Binary) -> Binary:
    shift, negatives, positives = _scores(one, other)
    return Binary(
        shift=shift,
        negatives=negatives,
        positives=positives,
        true_positive=one.true_positive + other.true_positive,
        false_positive=one.false_positive + other.false_positive,
        true_negative=one.true_negative + other.true_negative,
        false_negative=one.false_negative + other.false_negative,
        log_loss=one.log_loss + other.log_loss,
        brier=one.brier + other.brier,
        bins=tuple((a[0] + b[0], a[1] + b[1], a[2] + b[2]) for a, b in zip(one.bins, other.bins, strict=True)),
    )


def _numbers(one: Numbers, other: Numbers) -> Numbers:
    """Means and spreads of the truth by Chan, Golub and LeVeque (1979), which keeps digits that sums of squares lose."""
    count, apart = one.count + other.count, other.truth_mean - one.truth_mean
    return Numbers(
        count=count,
        other=one.other + other.other,
        truth_mean=one.truth_mean + apart * other.count / count,
        truth_spread=one.truth_spread + other.truth_spread + apart * apart * one.count * other.count / count,
        predicted=one.predicted + other.predicted,
        error=one.error + other.error,
        absolute=one.absolute + other.absolute,
        squared=one.squared + other.squared,
        fourth=one.fourth + other.fourth,
        nonzero=one.nonzero + other.nonzero,
        relative=one.relative + other.relative,
        relative_squared=one.relative_squared + other.relative_squared,
    )


def _naive(one: Naive, other: Naive) -> Naive:
    shift, negatives, positives = _scores(one, other)
    return Naive(
        shift=shift,
        negatives=negatives,
        positives=positives,
        missing_negatives=one.missing_negatives + other.missing_negatives,
        missing_positives=one.missing_positives + other.missing_positives,
    )


def _ranking(one: Ranking, other: Ranking) -> Ranking:
    if one.top != other.top:
        raise Invalid(f"Rankings of {one.top} and of {other.top} rows cannot be added.", "Evaluate the endpoint anew.")
    return Ranking(
        groups=one.groups + other.groups,
        complete=one.complete + other.complete,
        top=one.top,
        sums=tuple(a + b for a, b in zip(one.sums, other.sums, strict=True)),  # type: ignore[arg-type]
        squares=tuple(a + b for a, b in zip(one.squares, other.squares, strict=True)),  # type: ignore[arg-type]
    )

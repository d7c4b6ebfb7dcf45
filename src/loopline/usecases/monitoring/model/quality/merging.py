"""Tallies added to each other: in any order, in any grouping, the same comes out. Imports numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TypeVar

import msgspec

from loopline.core.errors import Invalid
from loopline.usecases.monitoring.model.quality.confusing import both_of
from loopline.usecases.monitoring.model.quality.keys import FINE_ROWS, added, coarse
from loopline.usecases.monitoring.model.tallies import EMPTY, Binary, Naive, Numbers, Ranking, Tally

Part = TypeVar("Part")
Keyed = TypeVar("Keyed", Binary, Naive)


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them added; EMPTY without any."""
    return reduce(merged, tallies, EMPTY)


def merged(one: Tally, other: Tally) -> Tally:
    """The tally of the rows of both (no row may be in both). Invalid when they rank different numbers of rows.

    Both must have been made under configs of one `basis`.
    """
    if not one.rows or not other.rows:
        return one if one.rows else other
    numbers = _both(one.numbers, other.numbers, _numbers)
    many = numbers is not None and numbers.count > FINE_ROWS
    binary, naive = None, None
    if numbers is not None and not numbers.other:
        binary = _both(_keyed(one.binary, many), _keyed(other.binary, many), _binary)
        naive = _both(_keyed(one.naive, many), _keyed(other.naive, many), _naive)
    return Tally(
        rows=one.rows + other.rows,
        labelled=one.labelled + other.labelled,
        failed=one.failed + other.failed,
        numbered=one.numbered + other.numbered,
        predicted=one.predicted + other.predicted,
        called=one.called + other.called,
        binary=binary,
        numbers=numbers,
        classes=_both(one.classes, other.classes, both_of),
        ranking=_both(one.ranking, other.ranking, _ranking),
        naive=naive,
        latency=added(one.latency, other.latency),
        delays=added(one.delays, other.delays),
        last_event_ms=max(one.last_event_ms, other.last_event_ms),
        last_known_ms=max(one.last_known_ms, other.last_known_ms),
    )


def _both(one: Part | None, other: Part | None, add: Callable[[Part, Part], Part]) -> Part | None:
    if one is None or other is None:
        return other if one is None else one
    return add(one, other)


def _keyed(part: Keyed | None, many: bool) -> Keyed | None:
    """With coarse keys once there are many rows."""
    if part is None or part.coarse or not many:
        return part
    sides = {name: coarse(getattr(part, name)) for name in ("negatives", "positives")}
    return msgspec.structs.replace(part, coarse=True, **sides)


def _binary(one: Binary, other: Binary) -> Binary:
    return Binary(
        coarse=one.coarse,
        negatives=added(one.negatives, other.negatives),
        positives=added(one.positives, other.positives),
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
        truth_spread=one.truth_spread + other.truth_spread + apart**2 * one.count * other.count / count,
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
    return Naive(
        coarse=one.coarse,
        negatives=added(one.negatives, other.negatives),
        positives=added(one.positives, other.positives),
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

"""From a book to windows with metrics. Imports numpy: import it only where there is news."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from loopline.core.times import from_ms
from loopline.usecases.monitoring.books.book import Book
from loopline.usecases.monitoring.books.heads import Bucket, Head
from loopline.usecases.monitoring.books.reading import QualityOf, together
from loopline.usecases.monitoring.model.arrays import HOUR_MS, next_period, period_of
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.looking import Describe
from loopline.usecases.monitoring.model.quality.delays import label_delay
from loopline.usecases.monitoring.model.quality.maturity import matured, wait_hours
from loopline.usecases.monitoring.model.quality.measuring import measured
from loopline.usecases.monitoring.model.quality.merging import total
from loopline.usecases.monitoring.model.tallies import Tally
from loopline.usecases.monitoring.model.windows import LabelDelay, Window

Known = Mapping[tuple[str, str, str], tuple[str, Window]]
METRICS_FORMAT = 1
LIVE = "live"


@dataclass
class Evaluated:
    """All windows of an endpoint, each with the fingerprint of the rows behind it; all but `changed` are as known.

    `live` is the model and version of the newest prediction, `live_at` the version that served when each window (by its
    start) matured, or ended where none has.
    """

    windows: list[tuple[str, Window]]
    delay: LabelDelay
    watermark_ms: int
    live: tuple[str, int | None]
    changed: int = 0
    live_at: dict[str, int | None] = field(default_factory=dict)


def evaluated(book: Book, config: MonitorConfig, known: Known, describe: Describe) -> Evaluated:
    """Recompute the windows whose rows or truth differ from what is `known` (by window start, column and value)."""
    waits = waiting(book)
    watermark = max(max(bucket.last_event_ms, bucket.last_known_ms) for _, bucket in book.buckets())
    delay = label_delay(waits, watermark)
    newest = max((head.newest for head in book.heads), key=lambda one: one[0])
    result = Evaluated([], delay, watermark, (newest[1], newest[2]))
    served_by, before = _served(book), _by_start(known)
    hours = wait_hours(delay, config) or 0.0
    for start, parts in sorted(_by_window(book, config.window).items()):
        end = next_period(start, config.window)
        states = watermark >= end, watermark >= end and matured(end, watermark, delay, config)
        result.live_at[from_ms(start)] = served_by(end + int(hours * HOUR_MS))
        print_of = _print(book, config, parts)
        same = before.get(from_ms(start), [])
        if not same or any(stored != print_of for stored, _ in same):
            same = [(print_of, window) for window in _windows(book, config, start, end, describe)]
            result.changed += len(same)
        result.windows += [(print_of, _as_of(window, *states)) for _, window in same]
    return result


def waiting(book: Book) -> list[Tally]:
    """Of each unit's buckets how long truth took, which is all that these tallies hold. `last_event_ms` is that of the
    whole bucket, so that they tell what one tally a bucket would, which took long to add up."""
    last: dict[int, int] = {}
    for _, bucket in book.buckets():
        last[bucket.start] = max(last.get(bucket.start, bucket.last_event_ms), bucket.last_event_ms)
    return [
        Tally(
            rows=bucket.rows,
            labelled=bucket.labelled,
            delays=bucket.delays,
            last_event_ms=last[bucket.start],
            last_known_ms=bucket.last_known_ms,
        )
        for _, bucket in book.buckets()
    ]


def _by_window(book: Book, window: str) -> dict[int, list[tuple[Head, Bucket]]]:
    listed = list(book.buckets())
    starts = period_of(np.array([bucket.start for _, bucket in listed], dtype=np.int64), window)
    found: dict[int, list[tuple[Head, Bucket]]] = {}
    for start, part in zip(starts.tolist(), listed, strict=True):
        found.setdefault(start, []).append(part)
    return found


def _by_start(known: Known) -> dict[str, list[tuple[str, Window]]]:
    found: dict[str, list[tuple[str, Window]]] = {}
    for (start, _, _), entry in sorted(known.items(), key=lambda item: item[0]):
        found.setdefault(start, []).append(entry)
    return found


def _print(book: Book, config: MonitorConfig, parts: list[tuple[Head, Bucket]]) -> str:
    asked = zlib.crc32(repr((METRICS_FORMAT, config.window, config.quality, config.costs)).encode())
    return f"{asked:08x}{book.print_of(parts)}"


def _as_of(window: Window, complete: bool, mature: bool) -> Window:
    import msgspec

    if (window.complete, window.mature) == (complete, mature):
        return window
    return msgspec.structs.replace(window, complete=complete, mature=mature)


def _windows(
    book: Book, config: MonitorConfig, start: int, end: int, describe: Describe
) -> Iterator[Window]:  # fmt: skip
    segments = book.segments(start, end)
    arms = {value for column, value in segments if column == "arm"}
    whole = {bucket: total(each) for bucket, each in segments["", ""].items()}
    all_of_it = _measured(whole, config)
    for column, value in sorted(segments, key=lambda key: (key[0] != "", key)):
        if column == "arm" and arms <= {LIVE, ""}:
            continue
        parts = segments[column, value]
        tallies = whole if parts == segments["", ""] else {bucket: total(each) for bucket, each in parts.items()}
        metrics = all_of_it if tallies is whole else _measured(tallies, config)
        yield Window(
            start=from_ms(start),
            end=from_ms(end),
            column=column,
            value=value,
            predictions=sum(tally.rows for tally in tallies.values()),
            labelled=sum(tally.labelled for tally in tallies.values()),
            complete=False,
            mature=False,
            metrics=metrics,
            quality=_quality(book.qualities(start, end), describe) if column == "" else {},
        )


def _measured(tallies: Mapping[int, Tally], config: MonitorConfig) -> dict[str, float]:
    return {name: round(float(number), 9) for name, number in measured(tallies, config).items()}


def _quality(parts: list[QualityOf], describe: Describe) -> dict[str, dict[str, float]]:
    """Shares of missing, unknown and out-of-contract values by input of the newest version, each row against the version
    that served it."""
    found: dict[str, dict[str, float]] = {"missing": {}, "unknown": {}, "out_of_contract": {}}
    if not parts:
        return found
    newest = max(parts, key=lambda part: part.last_at)
    signature = describe(newest.model, newest.version)[0] if newest.version is not None else None
    for column in () if signature is None else signature.inputs:
        there = [part.inputs[column.name] for part in parts if column.name in part.inputs]
        if not there:
            continue
        whole = together(there)
        rows = max(whole.rows, 1)
        found["missing"][column.name] = round(whole.missing / rows, 9)
        found["out_of_contract"][column.name] = round(whole.broken / rows, 9)
        known = sum(part.rows for part in there if part.unknown is not None)
        if whole.unknown is not None and known:
            found["unknown"][column.name] = round(whole.unknown / known, 9)
    return found


def _served(book: Book) -> Callable[[int], int | None]:
    """Which version served the last prediction of the event hours that were over at a moment."""
    last: dict[int, tuple[int, int | None]] = {}
    for head in book.heads:
        for hour, event_ms, version in head.served:
            if hour not in last or event_ms >= last[hour][0]:
                last[hour] = (event_ms, version)
    hours = sorted(last)

    def served_by(moment: int) -> int | None:
        place = bisect_right(hours, moment // HOUR_MS - 1) - 1
        return last[hours[max(place, 0)]][1]

    return served_by

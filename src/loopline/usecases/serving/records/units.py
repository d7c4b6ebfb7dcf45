"""The log of an endpoint in units of time, each with a mark that says whether its rows are still the same.

A unit is a day of `at` (UTC), or an hour of it where the day has many rows: today's, or one of millions. A mark counts the
rows (a log only grows) and names the erasures that went through them: sealing and compaction change none.
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from loopline.core.ids import checked_name
from loopline.usecases.serving.records import layout
from loopline.usecases.serving.records.layout import PARQUET
from loopline.usecases.serving.records.reading import steadily
from loopline.usecases.serving.records.segments import blocks, decode, names
from loopline.usecases.serving.records.writing import PREDICTIONS

HOUR_MS = 3_600_000
HOURS_TODAY, HOURS_EVER = 20_000, 2_000_000  # rows of a day beyond which its hours are units of their own
_counted: dict[Path, tuple[int, Counter[int]]] = {}  # segment to (bytes, rows by hour): it only grows


class LogUnit(msgspec.Struct, frozen=True):
    """`name`: a day (2013-05-03) or an hour (2013-05-03T14); `files` changes with its day's files, `mark` with its rows."""

    name: str
    first_ms: int
    end_ms: int
    rows: int
    files: str
    mark: str


def units(home: Path, endpoint: str, today: str, known: Mapping[str, LogUnit]) -> list[LogUnit]:
    """All units that hold rows, oldest first. Of a day whose files are those of its `known` units nothing is read."""
    checked_name("endpoint", endpoint)
    found: list[LogUnit] = steadily(endpoint, lambda: list(_units(home, endpoint, today, known)))
    return found


def _units(home: Path, endpoint: str, today: str, known: Mapping[str, LogUnit]) -> Iterator[LogUnit]:
    fresh, archive = home / PREDICTIONS / endpoint, layout.archive(home, endpoint)
    open_rows = {name: _hours(fresh / name) for name in [*names(fresh), *names(fresh, PARQUET)]}
    _forget(fresh, open_rows)
    waiting: dict[str, dict[str, Counter[int]]] = {}
    for name, hours in open_rows.items():
        for hour, rows in hours.items():
            waiting.setdefault(layout.day_of(hour * HOUR_MS), {}).setdefault(name, Counter())[hour] += rows
    before: dict[str, list[LogUnit]] = {}
    for unit in known.values():
        before.setdefault(unit.name[:10], []).append(unit)
    for day in sorted({*layout.days(archive), *waiting}):
        folder = layout.day_folder(archive, day)
        sources = waiting.get(day, {})
        parts = [*layout.listing(folder), *(f"{name} {sum(sources[name].values())}" for name in sorted(sources))]
        files = f"{zlib.crc32(' '.join(parts).encode()):08x}"
        same = before.get(day, [])
        if same and same[0].files == files and _hourly(same, day, today) == (len(same[0].name) > 10):
            yield from sorted(same, key=lambda unit: unit.first_ms)
        else:
            yield from _cut(folder, day, today, sources, files)


def _hourly(same: list[LogUnit], day: str, today: str) -> bool:
    return _many(sum(unit.rows for unit in same), day, today)


def _many(rows: int, day: str, today: str) -> bool:
    return rows > (HOURS_TODAY if day >= today else HOURS_EVER)


def _cut(
    folder: Path, day: str, today: str, sources: Mapping[str, Counter[int]], files: str
) -> Iterator[LogUnit]:  # fmt: skip
    import pyarrow.parquet as pq

    present = layout.present(folder)
    metadata = {name: pq.read_metadata(folder / name) for name in present}
    covered = {each for found in metadata.values() for each in layout.listed(found.metadata, layout.SOURCES)}
    hours: Counter[int] = Counter()
    for name, found in sources.items():
        if name not in covered:
            hours += found
    rows = sum(hours.values()) + sum(found.num_rows for found in metadata.values())
    gone = {each for found in metadata.values() for each in layout.listed(found.metadata, layout.ERASURE)}
    erased = f"-{zlib.crc32(' '.join(sorted(gone)).encode()):08x}" if gone else ""
    start = _start(day)
    if not rows:
        return
    if not _many(rows, day, today):
        yield LogUnit(day, start, start + layout.DAY_MS, rows, files, f"{rows}{erased}")
        return
    for name in present:
        hours += _sealed_hours(folder / name)
    for hour in sorted(hours):
        if hours[hour]:
            first = hour * HOUR_MS
            name = f"{day}T{(first - start) // HOUR_MS:02d}"
            yield LogUnit(name, first, first + HOUR_MS, hours[hour], files, f"{hours[hour]}{erased}")


def _start(day: str) -> int:
    from loopline.core.times import to_ms

    return to_ms(f"{day}T00:00:00Z")


def _sealed_hours(path: Path) -> Counter[int]:
    """Rows by hour (since 1970) of a Parquet file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: Counter[int] = Counter()
    with pq.ParquetFile(path) as opened:
        for batch in opened.iter_batches(columns=["at"]):
            at = np.asarray(batch.column(0).cast(pa.int64()).to_numpy(zero_copy_only=False))
            hours, rows = np.unique(at // HOUR_MS, return_counts=True)
            found.update(dict(zip(hours.tolist(), rows.tolist(), strict=True)))
    return found


def _hours(path: Path) -> Counter[int]:
    """Rows by hour (since 1970) of a segment, or of a file of the older layout."""
    size = path.stat().st_size
    before = _counted.get(path)
    if before is None or before[0] != size:
        found = _sealed_hours(path) if path.suffix == PARQUET else _segment_hours(path.read_bytes())
        _counted[path] = before = (size, found)
    return before[1]


def _segment_hours(content: bytes) -> Counter[int]:
    found: Counter[int] = Counter()
    for place, payload in enumerate(blocks(content)):
        if place:
            times = array("q", decode(payload)[1])
            first, last = min(times) // HOUR_MS, max(times) // HOUR_MS
            if first == last:
                found[first] += len(times)
            else:
                found.update(ms // HOUR_MS for ms in times)
    return found


def _forget(folder: Path, there: Mapping[str, object]) -> None:
    """Nothing stays of segments that were sealed."""
    for path in [path for path in _counted if path.parent == folder and path.name not in there]:
        _counted.pop(path, None)

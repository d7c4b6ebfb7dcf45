"""What an endpoint's book is asked for. Imports numpy."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.core.errors import Invalid
from loopline.core.times import from_ms, to_ms
from loopline.usecases.monitoring.books.heads import Bucket, Head
from loopline.usecases.monitoring.books.reading import ProfileOf, QualityOf, event_times
from loopline.usecases.monitoring.books.truths import BY_ID, BY_KEY, NOWHERE, part_of
from loopline.usecases.monitoring.books.updating import Updating, together
from loopline.usecases.monitoring.model.arrays import HOUR_MS, next_period
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.model.quality.merging import total
from loopline.usecases.monitoring.model.tallies import Tally

if TYPE_CHECKING:
    import pyarrow as pa


class Book(Updating):
    """See `model.looking.Book`. `folder` is the endpoint's own."""

    def starts(self) -> list[int]:
        """First moments of the buckets that hold rows, increasing."""
        return sorted({bucket.start for _, bucket in self.buckets()})

    def profile(self, start_ms: int, end_ms: int, version: int | None = None) -> Profile | None:
        """See `model.looking.Book`. Rows of versions with other inputs than the newest one's are left out."""
        from loopline.usecases.monitoring.model import sketching

        kept = [one for one in reversed(self._profiles(start_ms, end_ms)) if version in (None, one.version)]
        try:
            return sketching.merged_all([one.profile for one in kept])
        except Invalid:
            pass
        found = kept[0].profile
        for one in kept[1:]:
            try:
                found = sketching.merged(found, one.profile)
            except Invalid:
                continue
        return found

    def _profiles(self, start_ms: int, end_ms: int) -> list[ProfileOf]:
        """Those of buckets within these bounds; what was rolled up is a day each."""
        return [
            one
            for head in sorted(self._within(start_ms, end_ms), key=lambda head: head.unit.first_ms)
            for one in self._profiles_of(head).profiles
            if start_ms <= one.start and next_period(one.start, "day" if head.rolled else self._bucket) <= end_ms
        ]

    def tallies(self, start_ms: int, end_ms: int, column: str = "", value: str = "") -> Mapping[int, Tally]:
        """See `model.looking.Book`."""
        found: dict[int, list[Tally]] = {}
        for head in sorted(self._within(start_ms, end_ms), key=lambda head: head.unit.first_ms):
            for one in self._tallies_of(head).tallies:
                if start_ms <= one.start < end_ms and (one.column, one.value) == (column, value):
                    found.setdefault(one.start, []).append(one.tally)
        return {start: total(parts) for start, parts in found.items()}

    def segments(self, start_ms: int, end_ms: int) -> dict[tuple[str, str], dict[int, list[Tally]]]:
        """Of each (column, value) the tallies by start of bucket: one from every unit with such rows."""
        listed: dict[tuple[str, str], dict[int, list[Tally]]] = {}
        for head in sorted(self._within(start_ms, end_ms), key=lambda head: head.unit.first_ms):
            for one in self._tallies_of(head).tallies:
                if start_ms <= one.start < end_ms:
                    listed.setdefault((one.column, one.value), {}).setdefault(one.start, []).append(one.tally)
        return listed

    def qualities(self, start_ms: int, end_ms: int) -> list[QualityOf]:
        """What is known of the inputs, by bucket and version."""
        heads = self._within(start_ms, end_ms)
        return [one for head in heads for one in self._tallies_of(head).quality if start_ms <= one.start < end_ms]

    def values(self, column: str) -> list[str]:
        """The values that a segment column has had."""
        found = {
            one.value for head in self._heads.values() for one in self._tallies_of(head).tallies if one.column == column
        }
        return sorted(found)

    def print_of(self, parts: Iterable[tuple[Head, Bucket]]) -> str:
        """Differs when the tallies of these buckets differ."""
        summed = zlib.crc32(self._basis.encode())
        for _, bucket in sorted(parts, key=lambda pair: (pair[1].start, pair[0].unit.first_ms)):
            summed = zlib.crc32(f"{bucket.start} {bucket.rows} {bucket.print}".encode(), summed)
        return f"{summed:08x}"

    def orphans(self) -> int:
        """How many records of truth speak of no prediction that was logged."""
        matched: dict[int, Any] = {}  # by part: which records, True for all
        for head in self._heads.values():
            for part, bits in head.matched.items():
                before = matched.get(part)
                if not bits or before is True:
                    matched[part] = True
                else:
                    mine = np.frombuffer(bits, dtype=np.uint8)
                    matched[part] = mine if before is None else np.bitwise_or(before, mine)
        found = 0
        for part, kept in self._truths.parts.items():
            seen = matched.get(part)
            known = kept.records if seen is True else 0 if seen is None else int(np.unpackbits(seen).sum())
            found += kept.records - known
        return found

    def joined_rows(self, since: str, until: str, columns: Sequence[str] | None) -> pa.Table:
        """Logged predictions with since <= event time < until, with `truth` (NaN where none) and `known_at` joined."""
        import pyarrow as pa

        from loopline.usecases.monitoring.model.arrays import NO_TIME
        from loopline.usecases.monitoring.model.truth import joined

        needed = None if columns is None else list(dict.fromkeys([*columns, "id", "key", "event_time", "at"]))
        table = self._logged(to_ms(since), to_ms(until), needed)
        made = self._serving.times_of_ids(table["id"])
        hours = set(np.unique(made[made >= 0] // HOUR_MS).tolist())
        given = table["event_time"].drop_null().cast("int64")
        events = set(np.unique(np.asarray(given.to_numpy()) // HOUR_MS).tolist()) if len(given) else set()
        parts = {NOWHERE, *(part_of(h, BY_ID) for h in hours), *(part_of(h, BY_KEY) for h in events)}
        found = joined(table, self._truths.of(parts)[0], counted=False)
        moment = pa.timestamp("ms", tz="UTC")
        known = pa.array(found.known_ms, mask=found.known_ms == NO_TIME).cast(moment)
        table = table if columns is None else table.select([name for name in columns if name in table.column_names])
        table = table.append_column("truth", pa.array(found.value)).append_column("known_at", known)
        return table if found.label is None else table.append_column("label", pa.array(found.label, pa.string()))

    def _logged(self, start_ms: int, end_ms: int, columns: Sequence[str] | None) -> pa.Table:
        """Rows by event time, from the units that hold any of them."""
        import pyarrow as pa

        tables = []
        for unit in together(head.unit for head in self._touching(start_ms, end_ms)):
            for table in self._pieces(unit, columns):
                times = event_times(table)
                tables.append(table.filter(pa.array((times >= start_ms) & (times < end_ms))))
        if not tables:
            moment = from_ms(start_ms)
            return self._serving.read_predictions(self.endpoint, moment, moment, "at", columns)
        return pa.concat_tables(tables, promote_options="permissive")

    def _touching(self, start_ms: int, end_ms: int) -> list[Head]:
        """Units with a bucket that reaches into a stretch of time."""
        return [
            head for head in self._heads.values()
            if any(next_period(b.start, self._bucket) > start_ms and b.start < end_ms for b in head.buckets)
        ]  # fmt: skip

    def _within(self, start_ms: int, end_ms: int) -> list[Head]:
        return [
            head for head in self._heads.values() if any(start_ms <= bucket.start < end_ms for bucket in head.buckets)
        ]

"""Bringing a book up to date with the logs. Imports numpy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.core.errors import Invalid
from loopline.core.times import from_ms
from loopline.usecases.monitoring.books import files
from loopline.usecases.monitoring.books.heads import Head, Unit
from loopline.usecases.monitoring.books.keeping import Kept
from loopline.usecases.monitoring.books.reading import (
    Gathered,
    ProfileOf,
    Profiles,
    Tallies,
    TallyOf,
    event_times,
    inputs_of,
    narrow,
    versions_in,
)
from loopline.usecases.monitoring.books.truths import BY_ID, BY_KEY, NOWHERE, part_of
from loopline.usecases.monitoring.model.arrays import DAY_MS, HOUR_MS, milliseconds, period_of
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.model.sketching import merged_all

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_ROWS = 400_000
AHEAD_ROWS = 20_000
SAVED_EVERY_S = 10.0
HOURS_KEPT_MS = 63 * 86_400_000


class Updating(Kept):
    """Reads what is new, and makes again what is damaged. Units with few rows that are new are read together: opening a
    file takes longer than reading it."""

    _coming: Sequence[Unit] = ()
    _ahead: tuple[int, pa.Table, NDArray[np.int64]] | None = None

    def update(self) -> None:
        """Read what is new in the logs, and nothing else. It may be broken off anywhere."""
        units = self._serving.log_days(self.endpoint, [head.unit for head in self._heads.values()])
        self._truths.update()
        gone = self._heads.keys() - {unit.name for unit in units}
        changed = bool(gone)
        saved = time.monotonic()
        listed = [Unit(one.name, one.first_ms, one.end_ms, one.rows, one.files, one.mark) for one in units]
        self._coming = list(together((unit for unit in listed if self._is_new(unit)), AHEAD_ROWS))
        self._ahead = None
        for unit in listed:
            head = self._heads.get(unit.name)
            if head is None or head.unit.mark != unit.mark:
                changed |= self._make(unit, whole=True)
            elif self._truths.fingerprint(self._parts(head)) != head.truth:
                changed |= self._make(unit, whole=False)
            elif head.unit != unit:
                self._heads[unit.name], changed = msgspec.structs.replace(head, unit=unit), True
            self._truths.let_go()
            if time.monotonic() - saved > SAVED_EVERY_S:
                self._save()
                saved = time.monotonic()
        for name in gone:
            self._drop(name)
        self._coming, self._ahead = [], None
        if self._roll_up() or changed:
            self._save()

    def _is_new(self, unit: Unit) -> bool:
        head = self._heads.get(unit.name)
        return head is None or head.unit.mark != unit.mark

    def _roll_up(self) -> bool:
        """Profiles of hours that are long past become those of days: a year of hours would take much room."""
        if self._bucket != "hour" or not self._heads:
            return False
        before = max(head.unit.end_ms for head in self._heads.values()) - HOURS_KEPT_MS
        old = [head for head in self._heads.values() if head.unit.end_ms < before and not head.rolled]
        for head in old:
            days: dict[tuple[int, str, int | None], list[Profile]] = {}
            for one in self._profiles_of(head).profiles:
                days.setdefault((one.start // DAY_MS * DAY_MS, one.model, one.version), []).append(one.profile)
            listed = [ProfileOf(*key, whole) for key, parts in days.items() if (whole := merged_all(parts)) is not None]
            files.put(self._path(head.unit.name, "profiles"), Profiles(head.unit.mark, listed), durable=False)
            self._heads[head.unit.name] = msgspec.structs.replace(self._heads[head.unit.name], rolled=True)
        return bool(old)

    def _make(self, unit: Unit, whole: bool) -> bool:
        """Read a unit's rows (`whole`: also what does not depend on truth) and keep what they add up to."""
        head = self._heads.get(unit.name)
        kept = None if whole or head is None else self._stale(head)
        whole = kept is None
        gathered, profiles = Gathered(), dict[tuple[int, str, int | None], Profile]()
        hours: set[int] = set()
        for table in self._pieces(unit, None if whole else narrow(self._config)):
            self.read_rows += len(table)
            parts = self._parts_of(unit, table)
            hours |= parts
            truth, numbers = self._truths.of(parts)
            gathered.take(table, truth, numbers, self._config, self._describe if whole else None)
            if whole:
                self._profile(table, profiles)
        if not gathered.tallies:
            self._drop(unit.name)
            return True
        if kept is not None:
            gathered.quality = {(one.start, one.model, one.version): one for one in kept.quality}
        head = gathered.head(unit, "")
        head = msgspec.structs.replace(head, truth=self._truths.fingerprint(self._parts(head)))
        tallies = [TallyOf(*key, tally) for key, tally in gathered.tallies.items()]
        found = Tallies(unit.mark, self._basis, head.truth, tallies, list(gathered.quality.values()))
        if whole:
            listed = [ProfileOf(*key, profile) for key, profile in profiles.items()]
            files.put(self._path(unit.name, "profiles"), Profiles(unit.mark, listed), durable=False)
        files.put(self._path(unit.name, "tallies"), found, durable=False)
        self._tallies.pop(unit.name, None)
        self._at_hand(unit.name, found)
        self._heads[unit.name] = head
        return True

    def _parts_of(self, unit: Unit, table: pa.Table) -> set[int]:
        """The parts of the truth that may speak of these rows."""
        keyed = table.filter(table["key"].is_valid())
        moments = keyed["event_time"].drop_null().cast("int64") if len(keyed) else None
        events = np.unique(np.asarray(moments.to_numpy()) // HOUR_MS).tolist() if moments is not None else []
        hours = range(unit.first_ms // HOUR_MS, -(-unit.end_ms // HOUR_MS))
        return {NOWHERE, *(part_of(h, BY_ID) for h in hours), *(part_of(int(h), BY_KEY) for h in events)}

    def _pieces(self, unit: Unit, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """The rows of a unit, never very many at once."""
        several = next((one for one in self._coming if one.first_ms <= unit.first_ms < unit.end_ms <= one.end_ms), unit)
        if columns is None and several.end_ms - several.first_ms > unit.end_ms - unit.first_ms:
            yield from self._sliced(several, unit)
            return
        count = max(1, -(-unit.rows // PIECE_ROWS))
        edges = [unit.first_ms + (unit.end_ms - unit.first_ms) * place // count for place in range(count + 1)]
        for first, end in pairwise(edges):
            table = self._serving.read_predictions(self.endpoint, from_ms(first), from_ms(end), "at", columns)
            if len(table):
                yield table

    def _sliced(self, several: Unit, unit: Unit) -> Iterator[pa.Table]:
        """A unit's rows out of those of several, which are read once: rows are in the order of `at`."""
        if self._ahead is None or self._ahead[0] != several.first_ms:
            bounds = from_ms(several.first_ms), from_ms(several.end_ms)
            table = self._serving.read_predictions(self.endpoint, *bounds, "at", None)
            self._ahead = several.first_ms, table, milliseconds(table["at"])
        _, table, times = self._ahead
        first, end = np.searchsorted(times, [unit.first_ms, unit.end_ms]).tolist()
        if end > first:
            yield table.slice(first, end - first)

    def _parts(self, head: Head) -> list[int]:
        """The parts of the truth that may speak of a unit's rows."""
        hours = range(head.unit.first_ms // HOUR_MS, -(-head.unit.end_ms // HOUR_MS))
        return [NOWHERE, *(part_of(h, BY_ID) for h in hours), *(part_of(h, BY_KEY) for h in head.hours)]

    def _stale(self, head: Head) -> Tallies | None:
        """What was kept of the same rows, with other truth."""
        self._tallies.pop(head.unit.name, None)
        found = files.get(self._path(head.unit.name, "tallies"), Tallies)
        same = found is not None and found.basis == self._basis and found.mark == head.unit.mark
        return found if same and self._profiles_in(head) is not None else None

    def _tallies_of(self, head: Head) -> Tallies:
        """A unit's tallies; made again where the file is not what the index says."""
        found = self._tallies_in(head)
        if found is None and self._held:
            self._make(head.unit, whole=True)
            found = self._tallies.get(head.unit.name)
        return found or Tallies("", "", "", [], [])

    def _profiles_of(self, head: Head) -> Profiles:
        found = self._profiles_in(head)
        if found is None and self._held:
            self._make(head.unit, whole=True)
            found = self._profiles_in(head)
        return found or Profiles("", [])

    def _profile(self, table: pa.Table, found: dict[tuple[int, str, int | None], Profile]) -> None:
        from loopline.usecases.monitoring.model import sketching

        buckets = period_of(event_times(table), self._bucket)
        for key, part, _ in versions_in(table, buckets):
            _, model, version = key
            signature = self._describe(model, version)[0] if version is not None else None
            if signature is None:
                continue
            inputs = inputs_of(part, signature)
            there = tuple(column for column in signature.inputs if column.name in inputs.column_names)
            like = self._like(model, version)
            try:
                made = sketching.profile(inputs, msgspec.structs.replace(signature, inputs=there), like=like)
            except Invalid:  # an input whose logged type is not that of the signature
                continue
            self._remember(like, made)
            found[key] = made if key not in found else sketching.merged(found[key], made)


def together(units: Iterable[Unit], most: int = PIECE_ROWS) -> Iterator[Unit]:
    """Units that follow each other are read as one, as long as they hold at most so many rows."""
    whole: Unit | None = None
    for unit in sorted(units, key=lambda unit: unit.first_ms):
        if whole is not None and whole.end_ms == unit.first_ms and whole.rows + unit.rows <= most:
            whole = msgspec.structs.replace(whole, end_ms=unit.end_ms, rows=whole.rows + unit.rows)
            continue
        if whole is not None:
            yield whole
        whole = unit
    if whole is not None:
        yield whole

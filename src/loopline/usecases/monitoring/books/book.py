"""An endpoint's book: brought up to date with the logs, then asked for profiles and tallies. Imports numpy."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from loopline.core.errors import Invalid
from loopline.core.times import from_ms
from loopline.usecases.monitoring.books import files
from loopline.usecases.monitoring.books.heads import FORMAT, Bucket, Head, Index, Unit
from loopline.usecases.monitoring.books.reading import (
    Gathered,
    ProfileOf,
    Profiles,
    QualityOf,
    Tallies,
    TallyOf,
    bucket_of,
    event_times,
    inputs_of,
    narrow,
    versions_in,
)
from loopline.usecases.monitoring.books.truths import BY_ID, BY_KEY, NOWHERE, Truths, part_of, parts_of
from loopline.usecases.monitoring.model.arrays import HOUR_MS, period_of
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.looking import Describe
from loopline.usecases.monitoring.model.profile import Profile
from loopline.usecases.monitoring.model.quality.merging import total
from loopline.usecases.monitoring.model.tallies import Tally, basis
from loopline.usecases.monitoring.needs import Serving

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_ROWS = 400_000
SAVED_EVERY_S = 10.0


class Book:
    """See `model.looking.Book`. `folder` is the endpoint's own; nobody else may write to it meanwhile."""

    def __init__(
        self, folder: Path, serving: Serving, endpoint: str, config: MonitorConfig, describe: Describe
    ) -> None:  # fmt: skip
        self._folder = folder
        self._serving = serving
        self._endpoint = endpoint
        self._config = config
        self._describe = describe
        self._basis = basis_of(config)
        self._truths = Truths(folder / "truth", serving, endpoint)
        index = files.get(folder / "index", Index)
        sound = index is not None and index.format == FORMAT and index.basis == self._basis
        self._heads = {head.unit.name: head for head in index.heads} if index is not None and sound else {}
        self._tallies: dict[str, Tallies] = {}
        self._likes: dict[str, Profile] | None = None
        self.read_rows = 0  # of the log, for whoever measures

    # Bringing it up to date

    def update(self) -> None:
        """Read what is new in the logs, and nothing else. It may be broken off anywhere."""
        units = self._serving.log_days(self._endpoint, [head.unit for head in self._heads.values()])
        self._truths.update()
        gone = self._heads.keys() - {unit.name for unit in units}
        changed = bool(gone)
        saved = time.monotonic()
        for told in units:
            unit = Unit(told.name, told.first_ms, told.end_ms, told.rows, told.files, told.mark)
            head = self._heads.get(unit.name)
            if head is None or head.unit.mark != unit.mark:
                changed |= self._make(unit, whole=True)
            elif self._truths.fingerprint(self._parts(head)) != head.truth:
                changed |= self._make(unit, whole=False)
            elif head.unit != unit:
                self._heads[unit.name], changed = msgspec.structs.replace(head, unit=unit), True
            if time.monotonic() - saved > SAVED_EVERY_S:
                self._save()
                saved = time.monotonic()
        for name in gone:
            self._drop(name)
        if changed:
            self._save()

    def _save(self) -> None:
        heads = sorted(self._heads.values(), key=lambda head: head.unit.first_ms)
        files.put(self._folder / "index", Index(self._basis, tuple(heads)))

    def _drop(self, name: str) -> None:
        self._heads.pop(name, None)
        self._tallies.pop(name, None)
        for kind in ("tallies", "profiles"):
            self._path(name, kind).unlink(missing_ok=True)

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / "units" / f"{name}.{kind}"

    def _parts(self, head: Head) -> list[int]:
        """The parts of the truth that may speak of a unit's rows."""
        hours = range(head.unit.first_ms // HOUR_MS, -(-head.unit.end_ms // HOUR_MS))
        return [NOWHERE, *(part_of(h, BY_ID) for h in hours), *(part_of(h, BY_KEY) for h in head.hours)]

    def _make(self, unit: Unit, whole: bool) -> bool:
        """Read a unit's rows (`whole`: also what does not depend on truth) and keep what they add up to."""
        kept = None if whole else self._kept_tallies(unit.name)
        whole = whole or kept is None
        gathered, profiles = Gathered(), dict[tuple[int, str, int | None], Profile]()
        hours: set[int] = set()
        for table in self._pieces(unit, None if whole else narrow(self._config)):
            self.read_rows += len(table)
            parts = self._parts_of(unit, table)
            hours |= parts
            truth = self._truths.of(parts)
            numbers = parts_of(truth, self._serving)
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
            files.put(self._path(unit.name, "profiles"), Profiles(unit.mark, listed))
        files.put(self._path(unit.name, "tallies"), found)
        self._tallies[unit.name] = found
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
        count = max(1, -(-unit.rows // PIECE_ROWS))
        edges = [unit.first_ms + (unit.end_ms - unit.first_ms) * place // count for place in range(count + 1)]
        for first, end in pairwise(edges):
            table = self._serving.read_predictions(self._endpoint, from_ms(first), from_ms(end), "at", columns)
            if len(table):
                yield table

    # Profiles

    def _profile(self, table: pa.Table, found: dict[tuple[int, str, int | None], Profile]) -> None:
        from loopline.usecases.monitoring.model import sketching

        buckets = period_of(event_times(table), bucket_of(self._config))
        for key, part, _ in versions_in(table, buckets):
            _, model, version = key
            signature = self._describe(model, version)[0] if version is not None else None
            if signature is None:
                continue
            inputs = inputs_of(part, signature)
            there = tuple(column for column in signature.inputs if column.name in inputs.column_names)
            try:
                made = sketching.profile(
                    inputs, msgspec.structs.replace(signature, inputs=there), like=self._like(model, version)
                )
            except Invalid:  # an input whose logged type is not that of the signature
                continue
            self._remember(model, version, made)
            found[key] = made if key not in found else sketching.merged(found[key], made)

    def _like(self, model: str, version: int | None) -> Profile | None:
        """A profile whose cells all profiles of a version share: the training profile's, and for columns that it lacks those
        of the first rows that were seen."""
        if self._likes is None:
            self._likes = files.get(self._folder / "likes", dict[str, Profile]) or {}
        name = f"{model}/{version}"
        if name not in self._likes and version is not None:
            return self._describe(model, version)[1]
        return self._likes.get(name)

    def _remember(self, model: str, version: int | None, made: Profile) -> None:
        name, known = f"{model}/{version}", self._likes or {}
        if name not in known:
            self._likes = {**known, name: made}
            files.put(self._folder / "likes", self._likes)

    # What it is asked for

    def starts(self) -> list[int]:
        """First moments of the buckets that hold rows, increasing."""
        return sorted({bucket.start for _, bucket in self.buckets()})

    def buckets(self) -> Iterator[tuple[Head, Bucket]]:
        """Each unit's buckets."""
        for head in self._heads.values():
            for bucket in head.buckets:
                yield head, bucket

    def profile(self, start_ms: int, end_ms: int, version: int | None = None) -> Profile | None:
        """See `model.looking.Book`. Rows of versions with other inputs than the newest one's are left out."""
        from loopline.usecases.monitoring.model import sketching

        found: Profile | None = None
        for one in reversed(self._profiles(start_ms, end_ms)):
            if version is not None and one.version != version:
                continue
            if found is None:
                found = one.profile
            else:
                try:
                    found = sketching.merged(found, one.profile)
                except Invalid:
                    continue
        return found

    def _profiles(self, start_ms: int, end_ms: int) -> list[ProfileOf]:
        heads = sorted(self._within(start_ms, end_ms), key=lambda head: head.unit.first_ms)
        return [
            one for head in heads for one in self._kept_profiles(head).profiles if start_ms <= one.start < end_ms
        ]  # fmt: skip

    def tallies(self, start_ms: int, end_ms: int, column: str = "", value: str = "") -> Mapping[int, Tally]:
        """See `model.looking.Book`."""
        return self.segments(start_ms, end_ms).get((column, value), {})

    def segments(self, start_ms: int, end_ms: int) -> dict[tuple[str, str], dict[int, Tally]]:
        """Tallies by start of bucket of each (column, value)."""
        listed: dict[tuple[str, str], dict[int, list[Tally]]] = {}
        for head in sorted(self._within(start_ms, end_ms), key=lambda head: head.unit.first_ms):
            for one in self._tallies_of(head).tallies:
                if start_ms <= one.start < end_ms:
                    listed.setdefault((one.column, one.value), {}).setdefault(one.start, []).append(one.tally)
        return {key: {start: total(parts) for start, parts in by.items()} for key, by in listed.items()}

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

    @property
    def heads(self) -> Sequence[Head]:
        """All units, oldest first."""
        return sorted(self._heads.values(), key=lambda head: head.unit.first_ms)

    @property
    def rows(self) -> int:
        """How many predictions there are."""
        return sum(bucket.rows for _, bucket in self.buckets())

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

    @property
    def truth(self) -> Any:
        """How much truth was received: `records`, `duplicates`, `corrections`."""
        return self._truths.kept

    def joined_rows(self, since: str, until: str, columns: Sequence[str] | None) -> pa.Table:
        """Logged predictions with since <= event time < until, with `truth` (NaN where none) and `known_at` joined."""
        import pyarrow as pa

        from loopline.usecases.monitoring.model.arrays import NO_TIME
        from loopline.usecases.monitoring.model.truth import joined

        needed = None if columns is None else list(dict.fromkeys([*columns, "id", "key", "event_time"]))
        table = self._serving.read_predictions(self._endpoint, since, until, "event_time", needed)
        made = self._serving.times_of_ids(table["id"])
        hours = set(np.unique(made[made >= 0] // HOUR_MS).tolist())
        given = table["event_time"].drop_null().cast("int64")
        events = set(np.unique(np.asarray(given.to_numpy()) // HOUR_MS).tolist()) if len(given) else set()
        parts = {NOWHERE, *(part_of(h, BY_ID) for h in hours), *(part_of(h, BY_KEY) for h in events)}
        found = joined(table, self._truths.of(parts), counted=False)
        moment = pa.timestamp("ms", tz="UTC")
        known = pa.array(found.known_ms, mask=found.known_ms == NO_TIME).cast(moment)
        table = table if columns is None else table.select([name for name in columns if name in table.column_names])
        return table.append_column("truth", pa.array(found.value)).append_column("known_at", known)

    def _within(self, start_ms: int, end_ms: int) -> list[Head]:
        return [
            head for head in self._heads.values() if any(start_ms <= bucket.start < end_ms for bucket in head.buckets)
        ]

    def _kept_tallies(self, name: str) -> Tallies | None:
        if name not in self._tallies:
            found = files.get(self._path(name, "tallies"), Tallies)
            head = self._heads.get(name)
            if found is None or head is None or found.basis != self._basis or found.mark != head.unit.mark:
                return None
            self._tallies[name] = found
        return self._tallies[name]

    def _tallies_of(self, head: Head) -> Tallies:
        """A unit's tallies; made again where the file is not what the index says."""
        found = self._kept_tallies(head.unit.name)
        if found is None or found.truth != head.truth:
            self._tallies.pop(head.unit.name, None)
            self._make(head.unit, whole=True)
            found = self._tallies.get(head.unit.name) or Tallies("", "", "", [], [])
        return found

    def _kept_profiles(self, head: Head) -> Profiles:
        found = files.get(self._path(head.unit.name, "profiles"), Profiles)
        if found is None or found.mark != head.unit.mark:
            self._make(head.unit, whole=True)
            found = files.get(self._path(head.unit.name, "profiles"), Profiles)
        return found or Profiles("", [])


def basis_of(config: MonitorConfig) -> str:
    """Differs when what was kept under one config must be made anew under another."""
    kept = (FORMAT, bucket_of(config), basis(config), config.slices, config.protected)
    return f"{zlib.crc32(repr(kept).encode()):08x}"

"""Truth of an endpoint, laid by the hour of what it speaks of, so that a unit of the log finds its own without reading all.

Runs are Arrow files sorted by part and seq; each update adds one, small ones are merged. A part is an hour of prediction ids (an
id holds its time), an hour of event time (truth by key), or what names neither. Imports numpy: import it only where truth is new.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopline.kit.durable import make_folder, sync_folder, temporary_name
from loopline.usecases.monitoring.books import files
from loopline.usecases.monitoring.model.arrays import HOUR_MS, milliseconds
from loopline.usecases.monitoring.model.truth import repeats
from loopline.usecases.monitoring.needs import Serving

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 200_000
MOST_RUNS = 8
PARTS_AT_ONCE = 100
BY_ID, BY_KEY, ODD = 0, 1, 2
NOWHERE = ODD
PART = "_part"


class Part(msgspec.Struct, frozen=True, array_like=True):
    """How much truth speaks of one hour: how many records, and the last seq."""

    records: int
    last: int


class Kept(msgspec.Struct, frozen=True):
    """The index: `mark` as `Serving.truth_mark`, `last` the last seq that was taken, `runs` the files. `duplicates` repeat
    the value that their target already had, `corrections` change it."""

    mark: str = ""
    last: int = 0
    records: int = 0
    duplicates: int = 0
    corrections: int = 0
    runs: tuple[str, ...] = ()
    parts: dict[int, Part] = {}


class Truths:
    """The truth of one endpoint in a folder of its own."""

    def __init__(self, folder: Path, serving: Serving, endpoint: str) -> None:
        self._folder = folder
        self._serving = serving
        self._endpoint = endpoint
        self._kept = files.get(folder / "index", Kept) or Kept()
        self._open: dict[str, tuple[pa.Table, NDArray[np.int64]]] = {}

    @property
    def kept(self) -> Kept:
        """The index."""
        return self._kept

    @property
    def parts(self) -> dict[int, Part]:
        """All parts, by `part_of`."""
        return self._kept.parts

    def update(self) -> None:
        """Take what was received since; everything anew where received truth is gone or a file is damaged."""
        mark = self._serving.truth_mark(self._endpoint)
        if self._kept.mark != mark or not self._whole():
            self._kept = Kept(mark=mark)
            self._open.clear()
        changed = self._kept.last == 0
        while True:
            table = self._serving.read_truth(self._endpoint, self._kept.last, AT_ONCE)
            if not len(table):
                break
            self._add(table)
            changed = True
        if changed:
            files.put(self._folder / "index", self._kept)
            self._sweep()

    def of(self, parts: Iterable[int]) -> tuple[pa.Table, NDArray[np.int64]]:
        """All records of these parts in the order of receipt, and the part of each."""
        import pyarrow as pa

        wanted = sorted(set(parts) & self.parts.keys())
        pieces = [piece for name in self._kept.runs for piece in self._slices(name, wanted)]
        if not pieces:
            nothing = self._serving.read_truth(self._endpoint, self._kept.last + (1 << 40), 1)
            return nothing, np.zeros(0, dtype=np.int64)
        table = pa.concat_tables(pieces, promote_options="default")
        table = table.sort_by("seq") if len(pieces) > 1 else table
        return table.drop_columns([PART]), np.asarray(table[PART].to_numpy(), dtype=np.int64)

    def fingerprint(self, parts: Iterable[int]) -> str:
        """Differs when there is other truth of these parts."""
        summed = 0
        for part in sorted(parts):
            found = self.parts.get(part)
            if found is not None:
                summed = zlib.crc32(f"{part} {found.records} {found.last}".encode(), summed)
        return f"{summed:08x}"

    def let_go(self) -> None:
        """Close what is open: what was read of a file counts as memory in use as long as it is."""
        self._open.clear()

    def _whole(self) -> bool:
        try:
            for name in self._kept.runs:
                self._run(name)
        except (OSError, ValueError):  # pyarrow's errors are ValueErrors
            return False
        return True

    def _add(self, table: pa.Table) -> None:
        import pyarrow as pa

        parts = parts_of(table, self._serving)
        last = int(table["seq"][len(table) - 1].as_py())
        touched, counts = np.unique(parts, return_counts=True)
        duplicates, corrections = self._repeated(table, touched)
        laid = table.append_column(PART, pa.array(parts)).sort_by([(PART, "ascending"), ("seq", "ascending")])
        name = f"{self._kept.last + 1:016d}-{last:016d}.arrow"
        self._write(name, [laid.combine_chunks()])
        order = np.argsort(parts, kind="stable")
        lasts = np.asarray(table["seq"].to_numpy())[order[np.cumsum(counts) - 1]]
        known = dict(self._kept.parts)
        for part, count, newest in zip(touched.tolist(), counts.tolist(), lasts.tolist(), strict=True):
            known[part] = Part(known[part].records + count if part in known else count, newest)
        self._kept = msgspec.structs.replace(
            self._kept,
            last=last,
            runs=(*self._kept.runs, name),
            parts=known,
            records=self._kept.records + len(table),
            duplicates=self._kept.duplicates + duplicates,
            corrections=self._kept.corrections + corrections,
        )
        self._merge()

    def _repeated(self, table: pa.Table, touched: NDArray[np.int64]) -> tuple[int, int]:
        """(duplicates, corrections) among new records: only earlier ones of the same targets have to be looked at."""
        import pyarrow as pa
        import pyarrow.compute as pc

        before = [part for part in touched.tolist() if part in self._kept.parts]
        same = []
        for place in range(0, len(before), PARTS_AT_ONCE):
            old, _ = self.of(before[place : place + PARTS_AT_ONCE])
            names, keys = (pc.is_in(old[c], value_set=table[c].drop_null()) for c in ("prediction_id", "key"))
            same.append(old.filter(pc.or_(names, keys)))
            self.let_go()
        return repeats(pa.concat_tables([*same, table], promote_options="default"), self._kept.last)

    def _merge(self) -> None:
        """Keep runs few: the newest ones that are together not smaller than the one before become one with it."""
        runs = list(self._kept.runs)
        while len(runs) > 1 and (len(runs) > MOST_RUNS or self._rows(runs[-2]) <= 2 * self._rows(runs[-1])):
            if self._rows(runs[-2]) + self._rows(runs[-1]) > 4 * AT_ONCE and len(runs) <= MOST_RUNS * 8:
                break
            one, other = runs[-2:]
            name = f"{one.split('-')[0]}-{other.split('-')[1]}"
            if name in (one, other):
                break
            self._write(name, self._side_by_side(one, other))
            runs[-2:] = [name]
            self.let_go()
        self._kept = msgspec.structs.replace(self._kept, runs=tuple(runs))

    def _side_by_side(self, one: str, other: str) -> Iterator[pa.Table]:
        """Both runs in the order of parts, some parts at a time."""
        import pyarrow as pa

        both = [self._run(one), self._run(other)]
        parts = np.unique(np.concatenate([found for _, found in both]))
        for some in np.array_split(parts, max(1, len(parts) // 24)):
            low, high = int(some[0]), int(some[-1])
            pieces = []
            for table, found in both:
                first, end = np.searchsorted(found, low, "left"), np.searchsorted(found, high, "right")
                pieces.append(table.slice(int(first), int(end - first)))
            whole = pa.concat_tables(pieces, promote_options="default")
            yield whole.sort_by([(PART, "ascending"), ("seq", "ascending")]).combine_chunks()

    def _rows(self, name: str) -> int:
        return len(self._run(name)[1])

    def _slices(self, name: str, wanted: Sequence[int]) -> Iterator[pa.Table]:
        table, parts = self._run(name)
        ends = np.searchsorted(parts, np.array(wanted, dtype=np.int64), "right")
        starts = np.searchsorted(parts, np.array(wanted, dtype=np.int64), "left")
        for first, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if end > first:
                yield table.slice(first, end - first)

    def _run(self, name: str) -> tuple[pa.Table, NDArray[np.int64]]:
        import pyarrow as pa

        if name not in self._open:
            with pa.memory_map(str(self._folder / name)) as source:
                table = pa.ipc.open_file(source).read_all()
            self._open[name] = table, np.asarray(table[PART].combine_chunks().to_numpy(), dtype=np.int64)
        return self._open[name]

    def _write(self, name: str, tables: Iterable[pa.Table]) -> None:
        import os

        import pyarrow as pa

        make_folder(self._folder, 0o700)
        hidden = self._folder / temporary_name(name)
        writer = None
        with open(hidden, "wb") as file:
            for table in tables:
                writer = writer or pa.ipc.new_file(file, table.schema)
                writer.write_table(table)
            if writer is not None:
                writer.close()
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(self._folder / name)
        sync_folder(self._folder)
        self._open.pop(name, None)

    def _sweep(self) -> None:
        """Remove runs that the index does not name any more."""
        for path in self._folder.glob("*.arrow"):
            if path.name not in self._kept.runs:
                path.unlink(missing_ok=True)


def part_of(hour: int, kind: int) -> int:
    """The number of a part: an hour since 1970 and what names it. NOWHERE is for what has no time."""
    return hour * 4 + kind


def parts_of(truth: pa.Table, serving: Serving) -> NDArray[np.int64]:
    """The part of each record."""
    by_id = np.asarray(truth["prediction_id"].is_valid().to_numpy(), dtype=bool)
    made = serving.times_of_ids(truth["prediction_id"])
    events: Any = milliseconds(truth["event_time"])
    has_event = ~by_id & (events > np.iinfo(np.int64).min)
    found = np.full(len(truth), NOWHERE, dtype=np.int64)
    found = np.where(by_id & (made >= 0), made // HOUR_MS * 4 + BY_ID, found)
    return np.where(has_event, events // HOUR_MS * 4 + BY_KEY, found)

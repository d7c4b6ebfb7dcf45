"""The files of a book: its index, and what is kept of each unit. Imports numpy."""

from __future__ import annotations

import fcntl
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from loopline.kit.durable import make_folder
from loopline.usecases.monitoring.books import files
from loopline.usecases.monitoring.books.heads import FORMAT, Bucket, Head, Index
from loopline.usecases.monitoring.books.reading import Profiles, Tallies, bucket_of
from loopline.usecases.monitoring.books.truths import Kept as Received
from loopline.usecases.monitoring.books.truths import Truths
from loopline.usecases.monitoring.model import cells
from loopline.usecases.monitoring.model.config import MonitorConfig
from loopline.usecases.monitoring.model.looking import Describe
from loopline.usecases.monitoring.model.numbers import grid_of
from loopline.usecases.monitoring.model.profile import NumericColumn, Profile, ProfiledColumn
from loopline.usecases.monitoring.model.tallies import basis
from loopline.usecases.monitoring.needs import Serving

MOST_AT_HAND = 2_000  # tallies


class Kept:
    """What is on disk. Who holds it writes; everybody else reads what is there."""

    def __init__(
        self, folder: Path, serving: Serving, endpoint: str, config: MonitorConfig, describe: Describe
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        self.read_rows = 0  # of the log, for whoever measures
        self._folder = folder
        self._serving = serving
        self._config = config
        self._describe = describe
        self._basis = basis_of(config)
        self._bucket = bucket_of(config)
        self._held = False
        self._load()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be alone at it, as of now; waits for who is at it."""
        make_folder(self._folder, 0o700)
        with open(self._folder / ".lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._load()
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def _load(self) -> None:
        self._truths = Truths(self._folder / "truth", self._serving, self.endpoint)
        index = files.get(self._folder / "index", Index)
        sound = index is not None and index.format == FORMAT and index.basis == self._basis
        self._heads = {head.unit.name: head for head in index.heads} if index is not None and sound else {}
        self._tallies: dict[str, Tallies] = {}
        self._likes: list[Profile] | None = None

    def remove(self) -> None:
        """Remove all files: the endpoint is there no more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def heads(self) -> Sequence[Head]:
        """All units, oldest first."""
        return sorted(self._heads.values(), key=lambda head: head.unit.first_ms)

    @property
    def rows(self) -> int:
        """How many predictions there are."""
        return sum(bucket.rows for _, bucket in self.buckets())

    def buckets(self) -> Iterator[tuple[Head, Bucket]]:
        """Each unit's buckets."""
        for head in self._heads.values():
            for bucket in head.buckets:
                yield head, bucket

    @property
    def truth(self) -> Received:
        """How much truth was received: `records`, `duplicates`, `corrections`."""
        return self._truths.kept

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

    def _tallies_in(self, head: Head) -> Tallies | None:
        """What was kept of a unit; None where it is not what the index says. Who only reads takes what is newer, too."""
        name = head.unit.name
        if name not in self._tallies:
            found = files.get(self._path(name, "tallies"), Tallies)
            if found is None or found.basis != self._basis or (self._held and found.mark != head.unit.mark):
                return None
            self._at_hand(name, found)
        found = self._tallies[name]
        return None if self._held and found.truth != head.truth else found

    def _profiles_in(self, head: Head) -> Profiles | None:
        found = files.get(self._path(head.unit.name, "profiles"), Profiles)
        return None if found is None or (self._held and found.mark != head.unit.mark) else found

    def _at_hand(self, name: str, found: Tallies) -> None:
        self._tallies[name] = found
        count = sum(len(one.tallies) for one in self._tallies.values())
        while count > MOST_AT_HAND and len(self._tallies) > 1:
            count -= len(self._tallies.pop(next(iter(self._tallies))).tallies)

    def _like(self, model: str, version: int | None) -> list[Profile | None]:
        """Profiles whose cells all profiles of a version share: the training profile's, and for columns that it lacks those
        of the first rows that were seen, of whatever version."""
        trained = self._describe(model, version)[1] if version is not None else None
        return [trained, *self._first_seen()]

    def _remember(self, like: Sequence[Profile | None], made: Profile) -> None:
        """Keep a profile that is the first to have numbers in a column."""
        before = [one for one in like if one is not None]
        new = [column for column in made.columns if _numbers(column)]
        if any(not any(_numbers(one.column(column.name)) for one in before) for column in new):
            self._likes = [*self._first_seen(), _cells_alone(made)]
            files.put(self._folder / "likes", self._likes)

    def _first_seen(self) -> list[Profile]:
        """Found again in what was kept where the file is lost."""
        if self._likes is None:
            self._likes = files.get(self._folder / "likes", list[Profile])
        if self._likes is None:
            self._likes = []
            for head in self.heads:
                kept = self._profiles_in(head)
                for one in kept.profiles if kept is not None else ():
                    self._remember(self._like(one.model, one.version), one.profile)
        return self._likes


def _cells_alone(profile: Profile) -> Profile:
    """A profile with the same cells that tells nothing of any row: it outlives rows that are erased."""
    columns: list[ProfiledColumn] = []
    for column in profile.columns:
        if isinstance(column, NumericColumn) and column.finite:
            counts = np.zeros(cells.CELLS, dtype=np.int64)
            counts[cells.CELLS // 2] = 1
            grid = grid_of(column)
            columns.append(
                NumericColumn(
                    name=column.name, rows=1, missing=0, infinite=0, centre=grid.centre, scale=grid.scale,
                    low=grid.centre, high=grid.centre, total=grid.centre, cells=cells.packed(counts, grid.floor),
                )
            )  # fmt: skip
    return Profile(rows=1, columns=tuple(columns))


def _numbers(column: ProfiledColumn | None) -> bool:
    return isinstance(column, NumericColumn) and column.finite > 0


def basis_of(config: MonitorConfig) -> str:
    """Differs when what was kept under one config must be made anew under another."""
    kept = (FORMAT, bucket_of(config), basis(config), config.slices, config.protected)
    return f"{zlib.crc32(repr(kept).encode()):08x}"

"""Sealing: closed segments become Parquet files, a fact names each by digest, then the segments go.

Safe to break off anywhere: a file knows the segments it holds and the files it replaces, so readers count nothing twice;
the next sealing tells the fact of a file that has none yet and removes what a told file holds.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.kit.durable import make_folder
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.model import subject
from loopline.usecases.serving.needs import Facts
from loopline.usecases.serving.records import archiving, layout, tables
from loopline.usecases.serving.records.archiving import UNFINISHED
from loopline.usecases.serving.records.layout import PARQUET
from loopline.usecases.serving.records.segments import Header, closed, names, read
from loopline.usecases.serving.records.writing import PREDICTIONS, SHADOWS, TRUTH

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = (PREDICTIONS, TRUTH, SHADOWS)
MOST_TOGETHER = 256 << 20
SEALED, COMPACTED, ERASED, EXPIRED = "sealed", "compacted", "erased", "expired"


class Log(msgspec.Struct, frozen=True):
    """The log of one kind (predictions, truth, or shadows: what revisions that saw copies predicted) of one endpoint, and
    the engines by which its changes are told."""

    database: Database
    ledger: Facts
    clock: Clock
    home: Path
    kind: str
    endpoint: str
    actor: str

    @property
    def root(self) -> Path:
        """The folder in which it is laid out: shadows have one of their own, laid out as the installation's."""
        return root(self.home, self.kind)

    @property
    def fresh(self) -> Path:
        """Where its segments are."""
        return folder(self.home, self.kind) / self.endpoint

    @property
    def sealed(self) -> Path:
        """Where its sealed files are: of truth beside the segments, of predictions in folders by day."""
        return self.fresh if self.kind == TRUTH else layout.archive(self.root, self.endpoint)

    def files(self) -> list[str]:
        """All sealed files, named as facts name them."""
        if self.kind == TRUTH:
            return names(self.fresh, PARQUET)
        return [
            f"day={day}/{name}" for day in layout.days(self.sealed)
            for name in names(layout.day_folder(self.sealed, day), PARQUET)
        ]  # fmt: skip


def root(home: Path, kind: str) -> Path:
    """The folder in which logs of a kind are laid out."""
    return home / SHADOWS if kind == SHADOWS else home


def folder(home: Path, kind: str) -> Path:
    """Where the segments of a kind are, by endpoint."""
    return root(home, kind) / (TRUTH if kind == TRUTH else PREDICTIONS)


def logs(database: Database, ledger: Facts, clock: Clock, home: Path, actor: str) -> Iterator[Log]:
    """The logs of all endpoints."""
    for kind in KINDS:
        for endpoint in names(folder(home, kind), ""):
            if (folder(home, kind) / endpoint).is_dir():
                yield Log(database, ledger, clock, home, kind, endpoint, actor)


def seal_one(log: Log) -> int:
    """Seal what is closed in one log; the caller is alone at it."""
    for name in os.listdir(log.fresh):
        if name.startswith(".swap-") or name.endswith(UNFINISHED):  # of a change that broke off: we are alone
            layout.removed(log.fresh / name)
    handles = {name: handle for name in names(log.fresh) if (handle := closed(log.fresh / name)) is not None}
    old = [] if log.kind == TRUTH else names(log.fresh, PARQUET)
    try:
        covered = _covered(log, [*handles, *old])
        for group in _groups(log, handles):
            _write(log, group, covered)
        for name in old:
            _move(log, name, covered)
        told = tell_all(log)
        clear_ended(log)
        for name in [*handles, *old]:
            remove(log.fresh / name)
        return told
    finally:
        for handle in handles.values():
            os.close(handle)


def _covered(log: Log, sources: list[str]) -> dict[str, set[str]]:
    """Source to the days that have a file made from it; of truth: any day."""
    if not sources:
        return {}
    if log.kind == TRUTH:
        first = min(int(name.split("-")[0]) for name in sources)
        later = [name for name in log.files() if layout.span(name)[1] >= first]
        found = (layout.listed(layout.footer(log.fresh / name), layout.SOURCES) for name in later)
        return {source: {""} for each in found for source in each}
    there = [
        (day, name) for day in layout.days(log.sealed) for name in layout.listing(layout.day_folder(log.sealed, day))
    ]
    return layout.covered(log.sealed, there, layout.day_of(min(int(name.split("-")[0]) for name in sources)))


def _groups(log: Log, files: Iterable[str]) -> Iterator[list[str]]:
    """Segments that belong into one file: same revision, bounded size. Segments without a record are left out."""
    groups: dict[Header, list[str]] = {}
    size = 0
    for name in files:
        found = read(log.fresh / name)
        if found is None or not found[1]:
            continue
        groups.setdefault(found[0], []).append(name)
        size += (log.fresh / name).stat().st_size
        if size > MOST_TOGETHER:
            yield from groups.values()
            groups, size = {}, 0
    yield from groups.values()


def _write(log: Log, group: list[str], covered: dict[str, set[str]]) -> None:
    """The rows of segments as Parquet files, one a day, each whole or not there."""
    import pyarrow as pa

    parts, redacted = [], ""
    for name in group:
        header, blocks = read(log.fresh / name)  # type: ignore[misc]  # it was read before, and we hold its lock
        redacted = " ".join(header.redact)
        if log.kind == TRUTH:
            parts += [] if name in covered else [tables.truth_table(header, blocks)]
        else:
            whole = tables.prediction_table(header, blocks).replace_schema_metadata(layout.described())
            parts.append(layout.without_days(tables.completed(whole, log.endpoint), covered.get(name, ())))
    if any(part.num_rows for part in parts):
        whole = pa.concat_tables(parts, promote_options="default")
        put(log, whole, layout.described(sources=group, redacted=redacted), _token(group[0]))


def _move(log: Log, name: str, covered: dict[str, set[str]]) -> None:
    """A file of an older layout, into the folders by day."""
    import pyarrow.parquet as pq

    table = tables.completed(pq.read_table(log.fresh / name, partitioning=None), log.endpoint)
    whole = layout.without_days(table, covered.get(name, ()))
    if whole.num_rows:
        put(log, whole, layout.described(sources=[name], reason=COMPACTED), _token(name))


def put(log: Log, table: pa.Table, metadata: dict[bytes, bytes], token: str) -> None:
    """Write rows as files of the log."""
    if log.kind == TRUTH:
        table = table.replace_schema_metadata()
        hidden = log.fresh / f".{token}{UNFINISHED}"
        archiving.write(hidden, [table], table.schema, metadata)
        archiving.publish(log.sealed, {file_name(log.kind, table, token): hidden})
        return
    table = table.drop_columns(["endpoint"])
    for day, part in layout.by_day(table).items():
        hidden = log.fresh / f".{day}-{token}{UNFINISHED}"
        archiving.write(hidden, [part], part.schema, metadata)
        place = layout.day_folder(log.sealed, day)
        make_folder(place, 0o700)
        archiving.publish(place, {file_name(log.kind, part, token): hidden})


def file_name(kind: str, table: pa.Table, token: str) -> str:
    """<first>-<last>-<token>: milliseconds for predictions, seq for truth."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = table["seq"] if kind == TRUTH else table["at"].cast(pa.int64())
    first, last = pc.min_max(values).as_py().values()
    return f"{first:016d}-{last:016d}-{token}{PARQUET}"


def _token(source: str) -> str:
    return source.removesuffix(".seg").removesuffix(PARQUET).split("-", 1)[1]


def tell_all(log: Log) -> int:
    """Tell the fact of each file that has none yet; answers how many were told."""
    known = log.database.read(lambda tx: store.sealed(tx, log.kind, log.endpoint))
    told = 0
    for name in log.files():
        if name not in known:
            told += _tell(log, name, known)
    if told:
        layout.touch(log.root, log.endpoint)
    return told


def _tell(log: Log, name: str, known: dict[str, str]) -> int:
    found = layout.footer(log.sealed / name)
    why = found.get(layout.REASON, SEALED.encode()).decode()
    day = name.rpartition("/")[0]
    gone = [f"{day}/{each}" if day else each for each in layout.listed(found, layout.REPLACES)]
    if why == COMPACTED:
        gone += [each for each in layout.listed(found, layout.SOURCES) if each.endswith(PARQUET)]
    body = {"endpoint": log.endpoint, "file": name, **range_of(log.kind, log.sealed / name)}
    if gone:
        body["from"] = {each: known.get(each, "") for each in gone}

    def work(tx: Transaction) -> int:
        at = log.clock.text()
        row = {key: body[key] for key in ("endpoint", "file", "digest", "rows")}
        if not store.insert_sealed(tx, {**row, "kind": log.kind, "sealed_at": at}):
            return 0
        if why == ERASED:
            body["erased"] = store.sealed_rows(tx, log.kind, log.endpoint, gone) - body["rows"]
            body["erasure"] = found.get(layout.ERASURE, b"").decode()
            store.count_erased(tx, body["erasure"], log.kind, body["erased"])
        store.end_sealed(tx, log.kind, log.endpoint, gone, why, at)
        log.ledger.append(tx, f"{log.kind}.{why}", subject(log.endpoint), log.actor, body)
        return 1

    return log.database.write(work)


def clear_ended(log: Log) -> None:
    """Remove the files that a fact said are gone: what was broken off after the fact is done now. All that is there must
    have been told."""
    live = log.database.read(lambda tx: store.sealed(tx, log.kind, log.endpoint))
    going: dict[str, list[str]] = {}
    for name in log.files():
        if name not in live:
            day, _, file = name.rpartition("/")
            going.setdefault(day, []).append(file)
    for place, files in going.items():
        folder = log.sealed / place if place else log.sealed
        if place and set(files) == set(names(folder, PARQUET)):
            aside = log.fresh / f".swap-{place}"
            layout.removed(aside)
            folder.rename(aside)  # the whole day at once
            layout.removed(aside)
        else:
            for file in files:
                layout.removed(folder / file)
    if going:
        layout.touch(log.root, log.endpoint)


def range_of(kind: str, path: Path) -> dict[str, Any]:
    """Rows, first and last record, and the digest of a sealed file."""
    import blake3
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    column = "seq" if kind == TRUTH else "id"
    table = pq.read_table(path, columns=[column], partitioning=None)
    first, last = pc.min_max(table[column]).as_py().values()
    digest = blake3.blake3().update_mmap(str(path)).hexdigest()
    return {"rows": table.num_rows, "first": first, "last": last, "digest": digest, "bytes": path.stat().st_size}


@contextmanager
def alone(log: Log) -> Iterator[bool]:
    """One change of a log at a time: false while another process is at it."""
    handle = os.open(log.fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file that is not needed any more."""
    path.unlink(missing_ok=True)

"""Clearing up: results by age and size, bytes that nothing refers to, and what runs leave behind.

Rows go first, then bytes, so that a crash in between leaves bytes for the next time and never a row without them. Bytes
that were put or asked for within the last hour stay, whoever refers to them: their row may be on its way.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from loopline.core.errors import Conflict, Unavailable
from loopline.core.times import from_text, to_text
from loopline.ports.blobs import Blobs
from loopline.ports.database import Database, Transaction
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.model import leaves
from loopline.usecases.pipelines.values.blobs import blobs_of

GRACE_S = 3600.0
_AT_ONCE = 500
REFERRED = "something else refers to them"
RECENT = "they were put or asked for within the last hour"
RESULTS = "a result that is kept needs them"
_USED = """SELECT s.key AS key, MAX(p.started_at) AS used_at FROM pipelines_runs p JOIN pipelines_steps s
 ON s.run_id = CASE WHEN p.same_as = '' THEN p.run_id ELSE p.same_as END WHERE s.key <> '' GROUP BY s.key"""


class Collected(msgspec.Struct, frozen=True):
    """What was cleared up, or would be (`dry_run`): results, blobs, `files` left behind by runs, and the bytes of all of
    it. `kept` says how many blobs stay for which reason; `results_kept` and `size_kept` are what the cache still holds."""

    results: int
    blobs: int
    files: int
    size: int
    results_kept: int
    size_kept: int
    kept: dict[str, int]
    dry_run: bool


class Result(msgspec.Struct, frozen=True):
    """A cached result: the blobs it needs, the bytes it takes in its row, when it was last made or taken."""

    key: str
    used_at: str
    row_size: int
    digests: tuple[str, ...]


def collect(
    database: Database,
    blobs: Blobs,
    in_use: Callable[[], Iterable[str]],
    *,
    max_age: float | None = None,
    max_size: int | None = None,
    now: float,
    dry_run: bool = False,
) -> Collected:
    """Remove results that were last made or taken more than `max_age` seconds ago, then the oldest until the cache is no
    larger than `max_size` bytes, then every blob that nothing refers to. `in_use` answers the digests of blobs that
    anything but a result refers to; these are never touched, nor counted as the cache's. `now` is in Unix seconds.
    """
    others = set(in_use())
    sizes = {kept.digest: kept.size for kept in blobs.kept()}
    results = database.read(results_of)
    gone = chosen(
        results, {digest: size for digest, size in sizes.items() if digest not in others}, max_age, max_size, now
    )
    if not dry_run and gone:
        remove(database, gone)
        others = set(in_use())  # as it is now: a version may have been registered meanwhile
        results = database.read(results_of)
    stay = [one for one in results if one.key not in gone]
    needed = {digest for one in stay for digest in one.digests}
    freed, kept = clear(blobs, others, needed, now - GRACE_S, dry_run)
    held = sum(sizes.get(digest, 0) for digest in needed - others) + sum(one.row_size for one in stay)
    rows = sum(one.row_size for one in results if one.key in gone) if dry_run else 0
    return Collected(len(gone), len(freed), 0, sum(freed) + rows, len(stay), held, dict(kept), dry_run)


def results_of(tx: Transaction) -> list[Result]:
    """Every result, that longest unused first."""
    used = {row["key"]: row["used_at"] for row in tx.rows(_USED)}
    found = []
    for row in tx.rows("SELECT key, value, made_at, used_at FROM pipelines_results"):
        digests = {digest for leaf in leaves(store.value(row)) for digest in blobs_of(leaf)}
        latest = max(row["made_at"], row["used_at"] or "", used.get(row["key"], ""))
        found.append(Result(row["key"], latest, len(row["value"]), tuple(sorted(digests))))
    return sorted(found, key=lambda one: (one.used_at, one.key))


def chosen(
    results: list[Result], sizes: Mapping[str, int], max_age: float | None, max_size: int | None, now: float
) -> set[str]:
    """Keys of the results to remove, of `results` that are oldest first. `sizes` are those of blobs that only results
    need: one is freed with the last result that needs it."""
    needs = Counter(digest for one in results for digest in one.digests if digest in sizes)
    total = sum(sizes[digest] for digest in needs) + sum(one.row_size for one in results)
    oldest = "" if max_age is None else to_text(datetime.fromtimestamp(max(0.0, now - max_age), UTC))
    gone: set[str] = set()
    for one in results:
        too_old, too_much = one.used_at < oldest, max_size is not None and total > max_size
        if not too_old and not too_much:
            break
        if from_text(one.used_at).timestamp() > now - GRACE_S:
            break  # a run that goes on may be about to take it
        gone.add(one.key)
        total -= one.row_size
        for digest in one.digests:
            needs[digest] -= 1
            total -= sizes.get(digest, 0) if needs[digest] == 0 else 0
    return gone


def remove(database: Database, keys: Iterable[str]) -> None:
    """Remove results, some hundred in a transaction."""
    waiting = sorted(keys)
    for start in range(0, len(waiting), _AT_ONCE):
        marks, params = store.marked(waiting[start : start + _AT_ONCE])
        statement = f"DELETE FROM pipelines_results WHERE key IN ({marks})"
        database.write(lambda tx, statement=statement, params=params: tx.run(statement, params))  # type: ignore[misc]


def clear(
    blobs: Blobs, others: set[str], needed: set[str], before: float, dry_run: bool
) -> tuple[list[int], Counter[str]]:
    """Remove blobs that nothing refers to; answers their sizes, and why how many others stay."""
    freed: list[int] = []
    kept: Counter[str] = Counter()
    for one in list(blobs.kept()):
        if one.digest in others or one.digest in needed:
            kept[REFERRED if one.digest in others else RESULTS] += 1
        elif one.used_at >= before or (not dry_run and not removed(blobs, one.digest, before)):
            kept[RECENT] += 1
        else:
            freed.append(one.size)
    return freed, kept


def removed(blobs: Blobs, digest: str, before: float) -> bool:
    """Remove one blob; False when somebody asked for it meanwhile."""
    return blobs.remove(digest, before) > 0 or not blobs.has(digest)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Have nobody else clear up at the same time; Conflict when somebody does."""
    (home / "run").mkdir(exist_ok=True)
    handle = os.open(home / "run" / "collect.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Somebody is clearing up this installation already.", "Wait for that to end.") from None
        except OSError as error:
            raise Unavailable(f"The installation cannot be locked ({error.strerror}).", "Look at the disk.") from error
        yield
    finally:
        os.close(handle)

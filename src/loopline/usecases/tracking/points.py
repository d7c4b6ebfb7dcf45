"""Points of metrics: SQL in, values out. Long histories of ended runs are packed into blocks of columns.

A point may come twice (clients send again): loose rows keep each once, and reading merges rows and blocks, so that a
point which came again after it was packed is still told once.
"""

from __future__ import annotations

import math
import operator
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.ports.database import Transaction
from loopline.usecases.tracking.model import Measured, plain

if TYPE_CHECKING:
    import numpy as np

PACKED_FROM = 1024
BLOCK = 65_536
_ADD = """INSERT INTO tracking_points (run, key, at_ms, step, value, is_nan)
 VALUES (:run, :key, :at_ms, :step, :value, :is_nan) ON CONFLICT DO NOTHING"""
_ADD_LATEST = """INSERT INTO tracking_latest (run, key, experiment_id, step, at_ms, value, is_nan)
 VALUES (:run, :key, :experiment_id, :step, :at_ms, :value, :is_nan) ON CONFLICT (run, key) DO UPDATE SET
 step = excluded.step, at_ms = excluded.at_ms, value = excluded.value, is_nan = excluded.is_nan
 WHERE (excluded.step, excluded.at_ms, excluded.value)
 >= (tracking_latest.step, tracking_latest.at_ms, tracking_latest.value)"""
_LOOSE = "SELECT at_ms, step, value, is_nan FROM tracking_points WHERE run = :run AND key = :key"
_LONG = """SELECT key, COUNT(*) AS points FROM tracking_points WHERE run = :run GROUP BY key
 HAVING COUNT(*) >= :least ORDER BY key"""


class Series(NamedTuple):
    """All points of a metric by (time, step, value), each once: int64 milliseconds, int64 steps, float64 values (NaN
    where the value is no number)."""

    at_ms: np.ndarray[Any, Any]
    steps: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]


def key_ids(tx: Transaction, names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """The numbers of metrics' names, made where they are new; `known` are those that are known to stand."""
    return {name: known.get(name) or key_id(tx, name) for name in names}


def key_id(tx: Transaction, name: str) -> int:
    """The number of a metric's name, made when it is new."""
    found = tx.row("SELECT id FROM tracking_keys WHERE name = :name", {"name": name})
    if found is None:
        tx.run("INSERT INTO tracking_keys (name) VALUES (:name)", {"name": name})
        found = tx.row("SELECT id FROM tracking_keys WHERE name = :name", {"name": name})
    return int(found["id"]) if found else 0


def known_key(tx: Transaction, name: str) -> int:
    """The number of a metric's name, 0 for one that nothing was measured under."""
    found = tx.row("SELECT id FROM tracking_keys WHERE name = :name", {"name": name})
    return int(found["id"]) if found else 0


def add(tx: Transaction, rows: Iterable[Mapping[str, Any]], last: Iterable[Mapping[str, Any]]) -> None:
    """Points, each kept once, and the latest of each key among them (with its experiment_id)."""
    tx.run_many(_ADD, rows)
    tx.run_many(_ADD_LATEST, last)


def history(tx: Transaction, run: int, key: str, limit: int, offset: int, by_step: bool = True) -> list[Measured]:
    """Some points of a metric, by (step, time, value) or by (time, step, value)."""
    number = known_key(tx, key)
    if has_blocks(tx, run, number):
        return measured(series(tx, run, number), limit, offset, by_step)
    order = "step, at_ms, value, is_nan" if by_step else "at_ms, step, value, is_nan"
    rows = tx.rows(
        f"{_LOOSE} ORDER BY {order} LIMIT :limit OFFSET :offset",
        {"run": run, "key": number, "limit": limit, "offset": offset},
    )
    return [Measured(row["step"], row["at_ms"], plain(row["value"], row["is_nan"])) for row in rows]


def measured(found: Series, limit: int, offset: int, by_step: bool) -> list[Measured]:
    """Some points of a series."""
    import numpy as np

    order = np.argsort(found.steps, kind="stable") if by_step else np.arange(len(found.steps))
    chosen = order[offset : offset + limit]
    rows = zip(found.steps[chosen].tolist(), found.at_ms[chosen].tolist(), found.values[chosen].tolist(), strict=True)
    return [Measured(step, at, plain(value)) for step, at, value in rows]


def has_blocks(tx: Transaction, run: int, key: int) -> bool:
    """Whether some points of a metric are packed."""
    return (
        tx.row("SELECT 1 AS one FROM tracking_blocks WHERE run = :run AND key = :key", {"run": run, "key": key})
        is not None
    )


def series(tx: Transaction, run: int, key: int, packed: Series | None = None) -> Series:
    """All points of a metric; `packed` are those in blocks, as `in_blocks` answered them before."""
    known = in_blocks(tx, run, key) if packed is None else packed
    rows = tx.rows(f"{_LOOSE} ORDER BY at_ms, step, value, is_nan", {"run": run, "key": key})
    if not rows:
        return known
    return joined([known, loose(rows)]) if len(known.steps) else loose(rows)


def in_blocks(tx: Transaction, run: int, key: int) -> Series:
    """The points of a metric that are packed."""
    rows = tx.rows(
        "SELECT packed, points FROM tracking_blocks WHERE run = :run AND key = :key ORDER BY number",
        {"run": run, "key": key},
    )
    return joined([unpacked(row["packed"], row["points"]) for row in rows]) if rows else loose(())


def blocks_of(tx: Transaction, run: int, key: int) -> tuple[int, int]:
    """How many blocks a metric has, and how many points they hold. A block never changes."""
    found = tx.row(
        """SELECT COUNT(*) AS blocks, COALESCE(SUM(points), 0) AS points FROM tracking_blocks
        WHERE run = :run AND key = :key""",
        {"run": run, "key": key},
    )
    return (int(found["blocks"]), int(found["points"])) if found else (0, 0)


def joined(pieces: Sequence[Series]) -> Series:
    """Several series as one."""
    import numpy as np

    at_ms, steps, values = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return ordered(Series(at_ms, steps, values))


def loose(rows: Sequence[Mapping[str, Any]]) -> Series:
    """Rows as columns."""
    import numpy as np

    values = np.fromiter((row["value"] for row in rows), np.float64, len(rows))
    values[np.fromiter((row["is_nan"] for row in rows), np.bool_, len(rows))] = np.nan
    at_ms = np.fromiter((row["at_ms"] for row in rows), np.int64, len(rows))
    return Series(at_ms, np.fromiter((row["step"] for row in rows), np.int64, len(rows)), values)


def ordered(found: Series) -> Series:
    """By (time, step, value), each point once."""
    import numpy as np

    later = np.diff(found.at_ms)
    if ((later > 0) | ((later == 0) & (np.diff(found.steps) > 0))).all():  # as usual: sorting a million takes 250 ms
        return found
    order = np.lexsort((found.values, found.steps, found.at_ms))
    at_ms, steps, values = (column[order] for column in found)
    fresh = np.ones(len(order), np.bool_)
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    fresh[1:] = (at_ms[1:] != at_ms[:-1]) | (steps[1:] != steps[:-1]) | ~same
    return Series(at_ms[fresh], steps[fresh], values[fresh])


def long_keys(tx: Transaction, run: int, least: int = PACKED_FROM) -> list[int]:
    """Keys of a run that have so many loose points."""
    return [int(row["key"]) for row in tx.rows(_LONG, {"run": run, "least": least})]


def several(tx: Transaction, run: int) -> list[str]:
    """Names of the metrics of a run that have more than one point."""
    rows = tx.rows(
        """SELECT k.name FROM tracking_latest l JOIN tracking_keys k ON k.id = l.key WHERE l.run = :run AND (
        EXISTS (SELECT 1 FROM tracking_blocks b WHERE b.run = l.run AND b.key = l.key) OR
        EXISTS (SELECT 1 FROM tracking_points p WHERE p.run = l.run AND p.key = l.key
        AND (p.at_ms <> l.at_ms OR p.step <> l.step OR p.value <> l.value))) ORDER BY k.name""",
        {"run": run},
    )
    return [row["name"] for row in rows]


def loose_points(tx: Transaction, run: int, key: int) -> int:
    """How many points of a metric lie loose, counted up to what a block holds."""
    counted = tx.row(
        f"SELECT COUNT(*) AS points FROM (SELECT 1 FROM tracking_points WHERE run = :run AND key = :key LIMIT {BLOCK}) AS some",
        {"run": run, "key": key},
    )
    return int(counted["points"]) if counted else 0


def pack(tx: Transaction, run: int, key: int) -> int:
    """Pack the oldest loose points of a metric into one block; answers how many."""
    rows = tx.rows(f"{_LOOSE} ORDER BY at_ms, step, value, is_nan LIMIT {BLOCK}", {"run": run, "key": key})
    if not rows:
        return 0
    last = tx.row(
        "SELECT COALESCE(MAX(number), 0) AS number FROM tracking_blocks WHERE run = :run AND key = :key",
        {"run": run, "key": key},
    )
    tx.run(
        "INSERT INTO tracking_blocks (run, key, number, points, packed) VALUES (:run, :key, :number, :points, :packed)",
        {
            "run": run,
            "key": key,
            "number": last["number"] + 1 if last else 1,
            "points": len(rows),
            "packed": packed(rows),
        },
    )
    tx.run(
        """DELETE FROM tracking_points WHERE run = :run AND key = :key
        AND (at_ms, step, value, is_nan) <= (:at_ms, :step, :value, :is_nan)""",
        {"run": run, "key": key, **rows[-1]},
    )
    return len(rows)


def packed(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as compressed columns: times and steps as differences, values as they are, little endian. (Without arrays of
    numpy: who packs shall stay small.)"""
    columns: list[array[Any]] = [differences([row[name] for row in rows]) for name in ("at_ms", "step")]
    columns.append(array("d", [math.nan if row["is_nan"] else row["value"] for row in rows]))
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    return zlib.compress(b"".join(column.tobytes() for column in columns), 1)


def differences(numbers: Sequence[int]) -> array[int]:
    """The first number and the steps from each to the next, modulo 2**64."""
    steps = map(operator.sub, numbers, (0, *numbers))
    return array("q", [(step + 2**63) % 2**64 - 2**63 for step in steps])


def unpacked(content: bytes, points: int) -> Series:
    """The columns in a block."""
    import numpy as np

    raw = zlib.decompress(content)
    at_ms, steps = (np.cumsum(np.frombuffer(raw, "<i8", points, 8 * points * n)) for n in (0, 1))
    return Series(at_ms, steps, np.frombuffer(raw, "<f8", points, 16 * points))

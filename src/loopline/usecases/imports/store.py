"""Rows of imports: SQL in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from loopline.ports.database import Transaction
from loopline.usecases.imports.model import Report

_AT_ONCE = 500
_PUT = """INSERT INTO imports_things (source, kind, name, target, stamp, at)
 VALUES (:source, :kind, :name, :target, :stamp, :at) ON CONFLICT (source, kind, name)
 DO UPDATE SET target = excluded.target, stamp = excluded.stamp, at = excluded.at"""


class Known(NamedTuple):
    """What a thing of a source became here, and how it looked when it came."""

    target: str
    stamp: str


def known(tx: Transaction, source: str, kind: str, names: Sequence[str]) -> dict[str, Known]:
    """Those of the things that came in before."""
    found: dict[str, Known] = {}
    for part in parts(names):
        marks = ", ".join(f":n{place}" for place in range(len(part)))
        params = {f"n{place}": name for place, name in enumerate(part)}
        rows = tx.rows(
            f"SELECT name, target, stamp FROM imports_things WHERE source = :source AND kind = :kind AND name IN ({marks})",
            {"source": source, "kind": kind, **params},
        )
        found.update((row["name"], Known(row["target"], row["stamp"])) for row in rows)
    return found


def remember(tx: Transaction, source: str, kind: str, things: Iterable[tuple[str, str, str]], at: str) -> None:
    """Note things as (name, target, stamp)."""
    same = {"source": source, "kind": kind, "at": at}
    tx.run_many(_PUT, [{**same, "name": name, "target": target, "stamp": stamp} for name, target, stamp in things])


def begin(tx: Transaction, number: str, source: str, at: str, actor: str) -> None:
    """A new import."""
    tx.run(
        "INSERT INTO imports_imports (id, source, started_at, actor) VALUES (:id, :source, :at, :actor)",
        {"id": number, "source": source, "at": at, "actor": actor},
    )


def end(tx: Transaction, number: str, at: str, report: Report) -> None:
    """An import's end with its report."""
    tx.run(
        "UPDATE imports_imports SET ended_at = :at, report = :report WHERE id = :id",
        {"id": number, "at": at, "report": msgspec.json.encode(report).decode()},
    )


def imports(tx: Transaction, limit: int) -> list[dict[str, Any]]:
    """The imports, newest first."""
    rows = tx.rows("SELECT * FROM imports_imports ORDER BY started_at DESC, id LIMIT :limit", {"limit": limit})
    return [{**row, "report": msgspec.json.decode(row["report"])} for row in rows]


def parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """The names in portions that one statement can carry."""
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))

"""Rows of artifacts: SQL in, values out. A folder is nothing of its own but what names have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from loopline.ports.database import Row, Transaction
from loopline.usecases.tracking.model import Artifact

AT_ONCE = 1000
_COLUMNS = "name, digest, size, media_type, created_at"
_PUT = f"""INSERT INTO tracking_artifacts (owner, {_COLUMNS})
 VALUES (:owner, :name, :digest, :size, :media_type, :created_at) ON CONFLICT (owner, name) DO UPDATE SET
 digest = excluded.digest, size = excluded.size, media_type = excluded.media_type, created_at = excluded.created_at"""
_BELOW = "owner = :owner AND name >= :low AND name < :high"


class Entry(msgspec.Struct, frozen=True):
    """What lies in a folder: a file with its size in bytes, or a folder (size None). `name` is the last part alone."""

    name: str
    is_folder: bool
    size: int | None


def put(tx: Transaction, owner: str, artifacts: Iterable[Artifact]) -> None:
    """Artifacts of an owner; those of the same names are replaced."""
    tx.run_many(_PUT, [{"owner": owner, **msgspec.structs.asdict(one)} for one in artifacts])


def one(tx: Transaction, owner: str, name: str) -> Artifact | None:
    """One artifact by its whole name, or None."""
    where = "owner = :owner AND name = :name"
    row = tx.row(f"SELECT {_COLUMNS} FROM tracking_artifacts WHERE {where}", {"owner": owner, "name": name})
    return None if row is None else Artifact(**row)


def in_the_way(tx: Transaction, owner: str, name: str) -> str | None:
    """A file of the owner that no folder could hold beside one of this name: it lies where that one has a folder, or has
    a folder where that one lies."""
    parts = name.split("/")
    above = {f"above_{count}": "/".join(parts[:count]) for count in range(1, len(parts))}
    listed = ", ".join(f":{key}" for key in above)
    found = tx.row(f"SELECT name FROM tracking_artifacts WHERE {_BELOW} LIMIT 1", span(owner, name))
    if found is None and above:
        statement = f"SELECT name FROM tracking_artifacts WHERE owner = :owner AND name IN ({listed}) LIMIT 1"
        found = tx.row(statement, {"owner": owner, **above})
    return None if found is None else str(found["name"])


def below(tx: Transaction, owner: str, folder: str = "") -> list[Artifact]:
    """All artifacts of an owner in a folder and below it, by name; of all folders when it is empty."""
    rows = tx.rows(f"SELECT {_COLUMNS} FROM tracking_artifacts WHERE {_BELOW} ORDER BY name", span(owner, folder))
    return [Artifact(**row) for row in rows]


def inside(tx: Transaction, owner: str, folder: str = "") -> Iterator[Entry]:
    """Files and folders directly in a folder, by name; whole folders are stepped over."""
    start = f"{folder}/" if folder else ""
    bounds = span(owner, folder)
    while rows := portion(tx, bounds):
        for row in rows:
            if row["name"] < bounds["low"]:
                continue
            head, slash, _ = row["name"][len(start) :].partition("/")
            yield Entry(head, bool(slash), None if slash else row["size"])
            bounds["low"] = f"{start}{head}0" if slash else f"{row['name']}\x01"  # "0" follows "/"
        if len(rows) < AT_ONCE:
            return


def portion(tx: Transaction, bounds: dict[str, Any]) -> list[Row]:
    """Some rows from `low` on."""
    return tx.rows(f"SELECT name, size FROM tracking_artifacts WHERE {_BELOW} ORDER BY name LIMIT {AT_ONCE}", bounds)


def forget(tx: Transaction, owner: str, name: str) -> tuple[int, int]:
    """Drop the artifact of that name and all below it; answers how many and their bytes."""
    where, params = f"({_BELOW}) OR (owner = :owner AND name = :name)", {**span(owner, name), "name": name}
    found = tx.row(f"SELECT COUNT(*) AS n, SUM(size) AS bytes FROM tracking_artifacts WHERE {where}", params)
    if not found or not found["n"]:
        return 0, 0
    tx.run(f"DELETE FROM tracking_artifacts WHERE {where}", params)
    return int(found["n"]), int(found["bytes"])


def span(owner: str, folder: str) -> dict[str, Any]:
    """The bounds of the names in a folder and below it. Names order by their UTF-8 bytes."""
    low = f"{folder}/" if folder else ""
    return {"owner": owner, "low": low, "high": f"{folder}0" if folder else "\U0010ffff"}

"""What takes the room of an installation."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from loopline.ports.blobs import Blobs
from loopline.ports.database import Transaction
from loopline.usecases.retention import documents
from loopline.usecases.retention.model import Room, Rooms
from loopline.usecases.retention.planning import Planning, bytes_in

FOLDERS = {
    "predictions": "predictions",
    "truth": "ground truth",
    "environments": "environments",
    "work": "working files",
    "logs": "logs",
}


def rooms(tx: Transaction, planning: Planning, blobs: Blobs, home: Path) -> Rooms:
    """Each thing with the bytes that it needs, largest first. Bytes that several need count for each of them; those
    that only one needs become free with it."""
    groups: dict[tuple[str, str], set[str]] = {}
    for owner in planning.owners.values():
        for each in owner.references(tx):
            groups.setdefault(each.under, set()).add(each.digest)
    for row in tx.rows("SELECT entry, content FROM retention_parcels"):
        named = {found.decode() for found in documents.DIGEST.findall(row["content"].encode())}
        groups.setdefault(("trash", "removed things"), set()).update(named)
    sizes = {under: documents.closed(blobs, digests) for under, digests in groups.items()}
    needed = Counter(digest for each in sizes.values() for digest in each)
    found = [
        Room(*under, sum(each.values()), sum(size for digest, size in each.items() if needed[digest] == 1))
        for under, each in sizes.items()
        if each
    ]
    kept = {one.digest: one.size for one in blobs.kept()}
    unneeded = sum(size for digest, size in kept.items() if digest not in needed)
    found += [Room("bytes", "that nothing needs", unneeded, unneeded)] if unneeded else []
    beside = of_folders(home)
    disk = shutil.disk_usage(home)
    total = sum(kept.values()) + sum(one.size for one in beside)
    return Rooms(sorted(found + beside, key=lambda one: (-one.size, one.name)), total, disk.total, disk.free)


def of_folders(home: Path) -> list[Room]:
    """What lies beside the blobs: logs by endpoint, the database, what can be made again."""
    found = []
    for name, what in FOLDERS.items():
        for place in (
            sorted((home / name).iterdir()) if name in ("predictions", "truth") and (home / name).is_dir() else ()
        ):
            sealed = bytes_in(home / "prediction-log" / f"endpoint={place.name}") if name == "predictions" else 0
            if size := bytes_in(place) + sealed:
                found.append(Room(what, place.name, size, size))
        if name not in ("predictions", "truth") and (size := bytes_in(home / name)):
            found.append(Room("files", what, size, size))
    size = sum(place.stat().st_size for place in home.glob("loopline.db*"))
    aside = bytes_in(home / "trash")
    found += [Room("trash", "logs of removed endpoints", aside, aside)] if aside else []
    return [*found, Room("database", "loopline.db", size, size)]

"""Take results over from another installation, so that a new home need not compute them again."""

from __future__ import annotations

from loopline.core.errors import NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.database import Database, Row
from loopline.usecases.pipelines import store
from loopline.usecases.pipelines.model import Import, leaves
from loopline.usecases.pipelines.values.blobs import blobs_of

_GROUP = 200


def imported(database: Database, blobs: Blobs, other: Database, other_blobs: Blobs) -> Import:
    """Copy rows whose blobs are whole; blobs first, so that no row is ever without them."""
    rows = other.read(store.all_results)
    known = database.read(lambda tx: store.has_result(tx, [row["key"] for row in rows]))
    fresh = [row for row in rows if row["key"] not in known]
    whole = [row for row in fresh if brought(row, blobs, other_blobs)]
    for start in range(0, len(whole), _GROUP):
        part = whole[start : start + _GROUP]
        database.write(lambda tx, part=part: store.take_over(tx, part))  # type: ignore[misc]
    return Import(len(whole), len(known), len(fresh) - len(whole), sum(row["size"] for row in whole))


def brought(row: Row, blobs: Blobs, other_blobs: Blobs) -> bool:
    """Bring a result's blobs over; False when one is missing or damaged there."""
    for leaf in leaves(store.value(row)):
        for digest in blobs_of(leaf):
            if blobs.has(digest):
                continue
            try:
                blobs.put_file(other_blobs.path(digest))
            except NotFound:
                return False
    return True

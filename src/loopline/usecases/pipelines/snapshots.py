"""Snapshots as Arrow files that every worker process maps into its memory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from loopline.usecases.pipelines.needs import Datasets


def file_of(datasets: Datasets, folder: Path, digest: str) -> Path:
    """The Arrow file of a snapshot, written when it is not there yet; whole or not there at all."""
    place = folder / f"{digest}.arrow"
    if place.exists():
        with contextlib.suppress(OSError):
            os.utime(place)  # whoever clears up sees that it is in use
        return place
    from loopline.usecases.pipelines.values import tables

    folder.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{digest}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    tables.write(datasets.table(digest), temporary)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, place)
    return place

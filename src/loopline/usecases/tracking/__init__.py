"""Experiments and runs: what was tried, with which params, what was measured, and what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.core.parts import Part

if TYPE_CHECKING:
    from loopline.ports.blobs import Blobs
    from loopline.ports.clock import Clock
    from loopline.ports.database import Database
    from loopline.usecases.tracking.needs import Ledger
    from loopline.usecases.tracking.service import Tracking


def build(database: Database, ledger: Ledger, blobs: Blobs, clock: Clock) -> Tracking:
    from loopline.usecases.tracking.service import Tracking

    return Tracking(database, ledger, blobs, clock)


PART = Part("tracking", build, needs=("database", "ledger", "blobs", "clock"))

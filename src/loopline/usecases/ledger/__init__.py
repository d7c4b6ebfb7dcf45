"""Facts, their hash chain and the signed head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.core.parts import Part

if TYPE_CHECKING:
    from loopline.ports.clock import Clock
    from loopline.ports.database import Database
    from loopline.usecases.ledger.service import Ledger


def build(database: Database, clock: Clock, home: Path) -> Ledger:
    from loopline.usecases.ledger.head import Head
    from loopline.usecases.ledger.service import Ledger

    return Ledger(database, clock, Head(home))


PART = Part("ledger", build, needs=("database", "clock", "home"))

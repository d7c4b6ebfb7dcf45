"""Who may do what: named tokens with a role, sign-in links, sessions of a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.core.parts import Part

if TYPE_CHECKING:
    from loopline.ports.clock import Clock
    from loopline.ports.database import Database
    from loopline.usecases.access.needs import Facts
    from loopline.usecases.access.service import Access


def build(database: Database, clock: Clock, ledger: Facts) -> Access:
    from loopline.usecases.access.service import Access

    return Access(database, clock, ledger)


PART = Part("access", build, needs=("database", "clock", "ledger"))

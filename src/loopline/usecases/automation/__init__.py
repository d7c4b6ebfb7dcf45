"""Policies: what happens by itself when a fact or a schedule says so, once, with a memory of why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.core.parts import Part

if TYPE_CHECKING:
    from loopline.ports.clock import Clock
    from loopline.ports.database import Database
    from loopline.usecases.automation.needs import Ledger, Projects
    from loopline.usecases.automation.service import Automation


def build(database: Database, clock: Clock, ledger: Ledger, projects: Projects) -> Automation:
    from loopline.usecases.automation.service import Automation

    return Automation(database, clock, ledger, projects)


PART = Part("automation", build, needs=("database", "clock", "ledger", "projects"))

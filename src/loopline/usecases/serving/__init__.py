"""Endpoints: which model version answers where, with its history; the prediction and truth logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.core.parts import Part

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.ports.clock import Clock
    from loopline.ports.database import Database
    from loopline.usecases.serving.needs import Datasets, Facts, Tokens, Versions
    from loopline.usecases.serving.service import Serving


def build(
    database: Database, clock: Clock, home: Path, ledger: Facts, registry: Versions, access: Tokens, datasets: Datasets
) -> Serving:
    from loopline.usecases.serving.service import Serving

    return Serving(database, clock, home, ledger, registry, access, datasets)


PART = Part("serving", build, needs=("database", "clock", "home", "ledger", "registry", "access", "datasets"))

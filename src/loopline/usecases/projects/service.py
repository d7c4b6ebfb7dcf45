"""The verbs of projects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database


class Projects:
    """What project folders declare, as it was last applied."""

    def __init__(self, database: Database, ledger: Any, blobs: Blobs, clock: Clock, home: Path) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._home = home

    def gated(self, model: str, alias: str) -> bool:
        """Whether an applied project says that only a gate moves this alias."""
        gates = self._database.read(lambda tx: tx.rows("SELECT config FROM projects_projects"))
        import msgspec

        configs = [msgspec.json.decode(row["config"]) for row in gates]
        declared = [gate for config in configs for gate in (config.get("gates") or {}).values()]
        return any(gate.get("model") == model and gate.get("promote_to") == alias for gate in declared)

"""Releases that are held while an alert is open: nothing of the model is promoted until it is resolved or an admin lifts
the hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import NotFound
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation.model import HELD, LIFTED, Hold
from loopline.usecases.automation.needs import Ledger

FIELDS = Hold.__struct_fields__
RESOLVED = "alert.resolved"
COLUMNS = ", ".join(FIELDS)
SELECT = f"SELECT {COLUMNS} FROM automation_holds"
ADD = f"""INSERT INTO automation_holds ({COLUMNS}) VALUES ({", ".join(f":{name}" for name in FIELDS)})
ON CONFLICT (firing) DO NOTHING"""
LIFT = "UPDATE automation_holds SET lifted_at = :at, lifted_by = :by WHERE firing = :firing AND lifted_at = ''"


class Holds:
    """What holds releases, by model."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    def add(self, hold: Hold, actor: str) -> None:
        """Hold releases; the same firing holds them once."""

        def work(tx: Transaction) -> None:
            if tx.run(ADD, msgspec.structs.asdict(hold)) == 1:
                self._tell(tx, HELD, hold, actor)

        self._database.write(work)
        resolved = self._ledger.about(f"endpoint:{hold.endpoint}", [RESOLVED])
        if any(fact.body.get("alert") == hold.alert for fact in resolved):  # meanwhile: nobody else would lift it
            self._database.write(lambda tx: self.over(tx, hold.alert, actor))

    def reason(self, model: str) -> str:
        """Why releases of a model are held, or ""."""
        row = self._database.row(f"{SELECT} WHERE model = :model AND lifted_at = '' ORDER BY since", {"model": model})
        return "" if row is None else str(row["reason"])

    def all(self, everything: bool) -> list[Hold]:
        """All that stand, newest first; with `everything` those that were lifted too."""
        where = "" if everything else " WHERE lifted_at = ''"
        return self._database.read(lambda tx: [_hold(row) for row in tx.rows(f"{SELECT}{where} ORDER BY since DESC")])

    def lift(self, model: str, actor: str) -> list[Hold]:
        """Let releases of a model go on."""

        def work(tx: Transaction) -> list[Hold]:
            rows = tx.rows(f"{SELECT} WHERE model = :name AND lifted_at = ''", {"name": model})
            return self._lifted(tx, rows, actor)

        found = self._database.write(work)
        if not found:
            raise NotFound(f"Nothing holds the releases of {model[:40]!r}.", "`loopline policies --holds` lists holds.")
        return found

    def over(self, tx: Transaction, alert: str, actor: str) -> list[Hold]:
        """An alert is resolved: what was held because of it goes on."""
        return self._lifted(tx, tx.rows(f"{SELECT} WHERE alert = :name AND lifted_at = ''", {"name": alert}), actor)

    def _lifted(self, tx: Transaction, rows: list[Mapping[str, Any]], actor: str) -> list[Hold]:
        found = [msgspec.structs.replace(_hold(row), lifted_at=self._clock.text(), lifted_by=actor) for row in rows]
        for hold in found:
            tx.run(LIFT, {"at": hold.lifted_at, "by": actor, "firing": hold.firing})
            self._tell(tx, LIFTED, hold, actor)
        return found

    def _tell(self, tx: Transaction, kind: str, hold: Hold, actor: str) -> None:
        body = {
            name: getattr(hold, name)
            for name in ("model", "alert", "endpoint", "project", "policy", "firing", "reason")
        }
        self._ledger.append(tx, kind, hold.model, actor, body)


def _hold(row: Mapping[str, Any]) -> Hold:
    return Hold(**{name: row[name] for name in FIELDS})

"""Firings belong to the project whose policy fired; their logs go after a month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loopline.core.belongings import Belongings, Block, Going, Reference, Rows
from loopline.kit.rows import among


class Owner(Belongings):
    """Firings of policies and schedules."""

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "project":
            where, params = among("project", names)
            firings = f"firing IN (SELECT id FROM automation_firings WHERE {where})"
            yield Rows("automation_deliveries", firings, params, "webhook deliveries")
            yield Rows("automation_slots", firings, params)
            yield Rows("automation_firings", where, params, "firings of policies and schedules")
        if kind in ("project", "model"):
            where, params = among(kind, names)
            yield Rows("automation_holds", where, params)

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        projects, runs = set(going.get("project", ())), set(going.get("run", ()))
        for row in tx.rows(
            "SELECT project, policy, run_id FROM automation_firings WHERE state IN ('requested', 'running')"
        ):
            if row["project"] in projects:
                why = f"the policy {row['policy']} is at work for it"
                yield Block("project", row["project"], why, "Wait for its end; `loopline policies` shows it.")
            elif row["run_id"] in runs:
                why = f"the policy {row['policy']} is not done with it"
                yield Block("run", row["run_id"], why, "Wait for its end; `loopline policies` shows it.")

    def references(self, tx: Any) -> Iterable[Reference]:
        for row in tx.rows("SELECT DISTINCT project, code FROM automation_firings WHERE code <> ''"):
            yield Reference("project", row["project"], row["code"], ("project", row["project"]))

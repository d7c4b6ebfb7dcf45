"""No table is forgotten: each one's rows go with some thing, or it is said here why they stay."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.app.wiring import Loopline
from loopline.core.belongings import KINDS

pytestmark = pytest.mark.integration
NAMES = {"version": ["late/1"], "snapshot": ["flights/ab"]}
STAY = {
    "automation_cursors": "how far the ledger was read",
    "imports_imports": "what was brought in, and when",
    "imports_things": "what was brought in is not brought in twice",
    "pipelines_codes": "swept once no key names it",
    "pipelines_keys": "swept once no step and no result names it",
    "pipelines_plans": "swept once no run names it",
    "pipelines_results": "the cache, limited by age and size",
    "promotion_requests": "what was asked for",
    "registry_names": "numbers are never given twice",
    "releases_environments": "built environments, swept when unused",
    "releases_findings": "what was found out about contents that other releases may share",
    "serving_rules": "versions of rules that several endpoints share",
    "tracking_keys": "names of metrics",
    "tracking_views": "views of the table of runs",
}
OF_ALL = ("sqlite_", "ledger_", "access_", "retention_", "loopline_")


def test_every_table_is_answered_for(loopline: Loopline) -> None:
    statement = "SELECT name FROM sqlite_master WHERE type = 'table'"
    tables = {row["name"] for row in loopline.database.read(lambda tx: tx.rows(statement))}
    owners = loopline.owners().values()
    go = {rows.table for owner in owners for kind in KINDS for rows in owner.rows(kind, NAMES.get(kind, ["one"]))}
    assert go <= tables
    assert {name for name in tables - go if not name.startswith(OF_ALL)} == STAY.keys() & tables
    assert not go & STAY.keys()


def test_every_statement_can_be_run(loopline: Loopline) -> None:
    """All kinds at once, with several names, of things that do not exist."""

    def work(tx: Any) -> None:
        for owner in loopline.owners().values():
            names = {kind: [*NAMES.get(kind, ["one"]), *NAMES.get(kind, ["two"])] for kind in KINDS}
            assert list(owner.blocks(tx, names)) in ([], list(owner.blocks(tx, names)))
            assert list(owner.references(tx)) == []
            for kind in KINDS:
                owner.below(tx, kind, names[kind])
                for rows in owner.rows(kind, names[kind]):
                    assert tx.rows(f'SELECT * FROM "{rows.table}" WHERE {rows.where}', rows.params) == []
            for table, condition in owner.unrelated.items():
                tx.rows(f'SELECT 1 AS n FROM "{table}" WHERE {condition or "1"}')

    loopline.database.read(work)

"""The table of chosen engines: SQL in, values out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loopline.kit.rows import among
from loopline.ports.database import Row, Transaction
from loopline.usecases.registry.engines_model import Choice

_COLUMNS = ", ".join(Choice.__struct_fields__)
_JSON = ("timings", "fallen")
FIND = f"SELECT {_COLUMNS} FROM registry_engines WHERE model = :model AND version = :version AND machine = :machine"
OF_MODEL = f"SELECT {_COLUMNS} FROM registry_engines WHERE model = :model AND machine = :machine ORDER BY version"
DROP = "DELETE FROM registry_engines WHERE model = :model AND version = :version AND machine = :machine"
ADD = f"INSERT INTO registry_engines ({_COLUMNS}) VALUES ({', '.join(':' + name for name in Choice.__struct_fields__)})"
# Only what may be asked soon: the newest version of each model, and those to which an alias points.
WAITING = (
    "SELECT v.model, v.version FROM registry_versions v JOIN registry_models m ON m.name = v.model WHERE v.servable"
    " AND {formats} AND NOT EXISTS (SELECT 1 FROM registry_engines e WHERE e.model = v.model AND e.version = v.version"
    " AND e.machine = :machine) AND (v.version = m.last_version OR EXISTS (SELECT 1 FROM registry_aliases a WHERE"
    " a.model = v.model AND a.version = v.version)) ORDER BY v.created_at DESC, v.model, v.version LIMIT :most"
)
FELL_BACK = (
    "UPDATE registry_engines SET fallbacks = fallbacks + 1, fallback = :reason WHERE model = :model"
    " AND version = :version AND machine = :machine"
)


def find(tx: Transaction, model: str, version: int, machine: str) -> Choice | None:
    """What was chosen for a version on such a machine."""
    row = tx.row(FIND, {"model": model, "version": version, "machine": machine})
    return None if row is None else _choice(row)


def of_model(tx: Transaction, model: str, machine: str) -> list[Choice]:
    """What was chosen for the versions of a model."""
    return [_choice(row) for row in tx.rows(OF_MODEL, {"model": model, "machine": machine})]


def put(tx: Transaction, choice: Choice) -> None:
    """Write a choice in place of an earlier one."""
    row = {name: getattr(choice, name) for name in Choice.__struct_fields__}
    row |= {name: msgspec.json.encode(row[name]).decode() for name in _JSON} | {"explains": int(choice.explains)}
    tx.run(DROP, {name: row[name] for name in ("model", "version", "machine")})
    tx.run(ADD, row)


def waiting(tx: Transaction, formats: Sequence[str], machine: str, most: int) -> list[tuple[str, int]]:
    """Versions in those formats that may be asked soon and for which nothing was chosen, newest first."""
    where, params = among("v.format", formats)
    rows = tx.rows(WAITING.format(formats=where), {**params, "machine": machine, "most": most}) if formats else []
    return [(row["model"], row["version"]) for row in rows]


def fell_back(tx: Transaction, choice: Choice, reason: str) -> None:
    """Count that the library ran instead."""
    named = {"model": choice.model, "version": choice.version, "machine": choice.machine}
    tx.run(FELL_BACK, {**named, "reason": reason})


def _choice(row: Row) -> Choice:
    values = {name: row[name] for name in Choice.__struct_fields__}
    values |= {name: msgspec.json.decode(values[name]) for name in _JSON}
    return Choice(**{**values, "explains": bool(values["explains"])})

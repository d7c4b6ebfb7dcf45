"""What belongs to a project: its applications, and what it alone put into the installation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from loopline.core.belongings import Belongings, Block, Going, Reference, Rows, Thing
from loopline.core.errors import NotFound
from loopline.kit.rows import among

DECLARED = ("dataset", "endpoint")
_ONLY = (
    "SELECT kind, name FROM projects_things t WHERE {} AND kind IN ('dataset', 'endpoint') AND NOT EXISTS"
    " (SELECT 1 FROM projects_things o WHERE o.kind = t.kind AND o.name = t.name AND o.project <> t.project"
    " AND o.left_at IS NULL) ORDER BY kind, name"
)


class Owner(Belongings):
    """Projects."""

    kinds = ("project",)

    def find(self, tx: Any, kind: str, name: str) -> Thing:
        if tx.row("SELECT 1 AS found FROM projects_projects WHERE name = :name", {"name": name}) is None:
            raise NotFound(f"There is no project {name[:80]!r}.", "Only a project that was applied can be removed.")
        return Thing(kind, name, name)

    def below(self, tx: Any, kind: str, names: Sequence[str]) -> Going:
        found: dict[str, list[str]] = {}
        if kind == "project":
            where, params = among("project", names)
            for row in tx.rows(_ONLY.format(where), params):
                found.setdefault(row["kind"], []).append(row["name"])
            if models := registered(tx, set(names)):
                found["model"] = models
        return found

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "project":
            where, params = among("project", names)
            yield Rows("projects_things", where, params)
            yield Rows("projects_history", where.replace("project IN", "name IN"), params, "applications")
            yield Rows("projects_projects", where.replace("project IN", "name IN"), params)
        elif kind in DECLARED:
            where, params = among("name", names)
            yield Rows("projects_things", f"kind = '{kind}' AND {where}", params)

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        projects = set(going.get("project", ()))
        for row in tx.rows("SELECT name, config FROM projects_projects"):
            if row["name"] not in projects:
                yield from declared(row["name"], msgspec.json.decode(row["config"]), going)

    def references(self, tx: Any) -> Iterable[Reference]:
        for row in tx.rows("SELECT DISTINCT name, code_digest FROM projects_history"):
            yield Reference("project", row["name"], row["code_digest"], ("project", row["name"]))


def registered(tx: Any, projects: set[str]) -> list[str]:
    """The models that only pipelines of these projects make."""
    made: dict[bool, set[str]] = {True: set(), False: set()}
    for row in tx.rows("SELECT name, config FROM projects_projects"):
        config = msgspec.json.decode(row["config"])
        named = [
            entry.get("registers") for entry in (config.get("pipelines") or {}).values() if isinstance(entry, dict)
        ]
        named += [entry.get("model") for sort in ("gates", "endpoints") for entry in (config.get(sort) or {}).values()]
        made[row["name"] in projects].update(str(name) for name in named if name)
    return sorted(made[True] - made[False])


def declared(project: str, config: dict[str, Any], going: Going) -> Iterable[Block]:
    """What a project's loopline.yaml names."""
    out = "Take it out of loopline.yaml, then `loopline apply`."
    for kind in DECLARED:
        for name in set(going.get(kind, ())) & set(config.get(f"{kind}s") or {}):
            yield Block(kind, name, f"the project {project} declares it", out)
    models = set(going.get("model", ()))
    for sort in ("pipelines", "gates", "endpoints"):
        for name, entry in (config.get(sort) or {}).items():
            wanted = {entry.get("registers"), entry.get("model")} & models if isinstance(entry, dict) else set()
            for one in wanted:
                yield Block("model", str(one), f"{sort[:-1]} {name} of the project {project} names it", out)

"""What belongs to registered models and their versions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from loopline.core.belongings import Belongings, Block, Going, Reference, Rows, Thing
from loopline.core.errors import NotFound
from loopline.kit.rows import among, among_pairs, portions
from loopline.usecases.registry import model

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_REMEMBER = (
    "INSERT INTO registry_names (name, last_version) SELECT name, last_version FROM registry_models WHERE {}"
    " ON CONFLICT (name) DO UPDATE SET last_version = excluded.last_version"
)
OF_VERSION: tuple[str, ...] = (
    "registry_version_tags",
    "registry_cards",
    "registry_card_pins",
    "registry_downloads",
    "registry_engines",
    "registry_versions",
)
# Owners of the files that only these versions share (see `tracking.share_in`).
SHARED = (
    "SELECT 'version ' || v.digest FROM registry_versions v WHERE {0} AND NOT EXISTS "
    "(SELECT 1 FROM registry_versions o WHERE o.digest = v.digest AND NOT ({0}))"
)
OF_MODEL: tuple[str, ...] = ("registry_aliases", "registry_alias_history", "registry_model_tags")


class Owner(Belongings):
    """Models and versions."""

    kinds = ("model", "version")

    def find(self, tx: Any, kind: str, name: str) -> Thing:
        asked, number, alias = model.parsed_reference(name)
        if kind == "model":
            if tx.row("SELECT 1 AS found FROM registry_models WHERE name = :name", {"name": name}) is None:
                raise NotFound(f"There is no registered model {name[:80]!r}.", "`loopline models` lists them.")
            return Thing(kind, name, name)
        if number is None:
            hint = "It may be moved at any time." if alias else ""
            raise NotFound(
                f"{name!r} names no version. {hint}".strip(), "Write model/3; `loopline versions MODEL` lists them."
            )
        params = {"model": asked, "version": number}
        if (
            tx.row("SELECT 1 AS found FROM registry_versions WHERE model = :model AND version = :version", params)
            is None
        ):
            raise NotFound(f"There is no version {number} of the model {asked!r}.", "`loopline versions` lists them.")
        return Thing(kind, model.version_key(asked, number), model.version_key(asked, number))

    def below(self, tx: Any, kind: str, names: Sequence[str]) -> Going:
        if kind != "model":
            return {}
        where, params = among("model", names)
        rows = tx.rows(f"SELECT model, version FROM registry_versions WHERE {where} ORDER BY model, version", params)
        return {"version": [model.version_key(row["model"], row["version"]) for row in rows]}

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "version":
            where, params = among_pairs(("model", "version"), [pair(name) for name in names])
            yield Rows("tracking_artifacts", f"owner IN ({SHARED.format(where)})", params)
            for table in OF_VERSION:
                yield Rows(table, where, params, "card revisions" if table == "registry_cards" else "")
        elif kind == "model":
            where, params = among("model", names)
            for table in OF_MODEL:
                yield Rows(table, where, params, "aliases" if table == "registry_aliases" else "")
            yield Rows("registry_models", where.replace("model IN", "name IN"), params)

    def part(self, tx: Any, kind: str, names: Sequence[str], at: str) -> None:
        """A model's name goes on counting where it stopped, when it is used again."""
        if kind == "model":
            where, params = among("name", names)
            tx.run(_REMEMBER.format(where), params)

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        versions, models = set(going.get("version", ())), set(going.get("model", ()))
        for row in tx.rows("SELECT model, alias, version FROM registry_aliases") if versions else ():
            name = model.version_key(row["model"], row["version"])
            if name in versions and row["model"] not in models:
                way_out = f"Point it elsewhere: `loopline promote {row['model']}/OTHER --to {row['alias']}`."
                yield Block(
                    "version", name, f"the alias {model.alias_key(row['model'], row['alias'])} points to it", way_out
                )
        yield from self._made_by(tx, going, versions)
        yield from self._trained_on(tx, going, versions)

    def _made_by(self, tx: Any, going: Going, versions: set[str]) -> Iterable[Block]:
        """Runs that made a version that stays."""
        for names in portions(list(going.get("run", ()))):
            where, params = among("run_id", names)
            for row in tx.rows(f"SELECT model, version, run_id FROM registry_versions WHERE {where}", params):
                name = model.version_key(row["model"], row["version"])
                if name not in versions:
                    yield Block("run", row["run_id"], f"it made {name}", f"First `loopline rm version {name}`.")

    def _trained_on(self, tx: Any, going: Going, versions: set[str]) -> Iterable[Block]:
        """Snapshots that a version that stays was trained on."""
        snapshots = {name.rpartition("/")[2]: name for name in going.get("snapshot", ())}
        for row in tx.rows("SELECT model, version, metadata FROM registry_versions") if snapshots else ():
            name = model.version_key(row["model"], row["version"])
            for digest in set(DIGEST.findall(row["metadata"])) & snapshots.keys() if name not in versions else ():
                yield Block(
                    "snapshot", snapshots[digest], f"{name} was trained on it", f"First `loopline rm version {name}`."
                )

    def references(self, tx: Any) -> Iterable[Reference]:
        columns = "model, version, digest, profile_digest, evaluation_digest, metadata"
        for row in tx.rows(f"SELECT {columns} FROM registry_versions"):
            name, under = model.version_key(row["model"], row["version"]), ("model", row["model"])
            named = {row["digest"], row["profile_digest"], row["evaluation_digest"]}
            for digest in named | (
                {str(found) for found in DIGEST.findall(row["metadata"])} - trained(row["metadata"])
            ):
                if digest:
                    yield Reference("version", name, digest, under)
        for row in tx.rows("SELECT model, version, digest FROM registry_cards"):
            under = ("model", row["model"])
            yield Reference("version", model.version_key(row["model"], row["version"]), row["digest"], under)


def pair(name: str) -> tuple[str, int]:
    """Model and number of "model/3"."""
    owner, _, number = name.rpartition("/")
    return owner, int(number)


def trained(metadata: str) -> set[str]:
    """Snapshots in a version's metadata: their bytes are the dataset's."""
    import msgspec

    return {str(digest) for digest in DIGEST.findall(str(msgspec.json.decode(metadata).get("snapshots", "")))}

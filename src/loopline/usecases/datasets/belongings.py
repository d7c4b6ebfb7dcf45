"""What belongs to a dataset: its batches and snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from loopline.core.belongings import Belongings, Block, Going, Reference, Rows, Thing
from loopline.core.errors import Invalid, NotFound
from loopline.kit.rows import among, among_pairs

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
SHORTEST = 6


class Owner(Belongings):
    """Datasets and snapshots ("dataset/digest")."""

    kinds = ("dataset", "snapshot")

    def find(self, tx: Any, kind: str, name: str) -> Thing:
        if kind == "dataset":
            if tx.row("SELECT 1 AS found FROM datasets_datasets WHERE name = :name", {"name": name}) is None:
                raise NotFound(f"There is no dataset {name[:80]!r}.", "`loopline datasets` lists them.")
            return Thing(kind, name, name)
        dataset, _, start = name.lower().rpartition("/") if "/" not in name else name.rpartition("/")
        if len(start) < SHORTEST:
            raise Invalid(
                f"{name!r} is too short to name a snapshot.", f"Give {SHORTEST} digits of its digest or more."
            )
        rows = tx.rows(
            "SELECT dataset, digest FROM datasets_snapshots WHERE digest >= :low AND digest < :high"
            " AND (:dataset = '' OR dataset = :dataset) LIMIT 2",
            {"low": start, "high": start + "g", "dataset": dataset},
        )
        if not rows:
            raise NotFound(f"There is no snapshot {name[:80]!r}.", "`loopline datasets NAME` lists them.")
        if len(rows) > 1:
            raise Invalid(f"Several snapshots are named {name!r}.", "Write DATASET/DIGEST with more digits.")
        digest = rows[0]["digest"]
        return Thing(kind, f"{rows[0]['dataset']}/{digest}", f"{rows[0]['dataset']} {digest[:12]}")

    def below(self, tx: Any, kind: str, names: Sequence[str]) -> Going:
        if kind != "dataset":
            return {}
        where, params = among("dataset", names)
        rows = tx.rows(f"SELECT dataset, digest FROM datasets_snapshots WHERE {where} ORDER BY dataset, seq", params)
        return {"snapshot": [f"{row['dataset']}/{row['digest']}" for row in rows]}

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "snapshot":
            pairs = [(owner, digest) for owner, _, digest in (name.rpartition("/") for name in names)]
            where, params = among_pairs(("dataset", "digest"), pairs)
            yield Rows("datasets_snapshots", where, params)
        elif kind == "dataset":
            where, params = among("dataset", names)
            yield Rows("datasets_batches", where, params, "batches")
            yield Rows("datasets_datasets", where.replace("dataset IN", "name IN"), params)

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        snapshots, datasets = set(going.get("snapshot", ())), set(going.get("dataset", ()))
        for row in tx.rows("SELECT name, latest FROM datasets_datasets WHERE latest <> ''") if snapshots else ():
            name = f"{row['name']}/{row['latest']}"
            if name in snapshots and row["name"] not in datasets:
                way_out = f"Take another (`loopline snapshot {row['name']}`), or remove the dataset."
                yield Block("snapshot", name, f"it is the newest of {row['name']}", way_out)

    def references(self, tx: Any) -> Iterable[Reference]:
        for row in tx.rows("SELECT dataset, digest, parts FROM datasets_snapshots"):
            for digest in {row["digest"], *DIGEST.findall(row["parts"])}:
                yield Reference("snapshot", f"{row['dataset']}/{row['digest']}", digest, ("dataset", row["dataset"]))
        for row in tx.rows("SELECT dataset, digest FROM datasets_batches"):
            yield Reference("dataset", row["dataset"], row["digest"], ("dataset", row["dataset"]))

"""What belongs to an endpoint: its deployments, their history, and the logs of predictions and truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loopline.core.belongings import Belongings, Block, Going, Rows, Thing
from loopline.core.errors import NotFound
from loopline.kit.rows import among
from loopline.usecases.serving.traffic import Traffic, decoded

_MADE = (
    "SELECT e.name, r.revision, r.model, r.version, e.live_revision, e.wanted_revision, e.traffic"
    " FROM serving_endpoints e JOIN serving_revisions r ON r.endpoint = e.name WHERE e.retired_at IS NULL"
    " AND (r.revision IN (e.live_revision, e.wanted_revision) OR e.traffic <> '')"
)
_LOGS = (
    "predictions/", "truth/", "prediction-log/endpoint=", "shadows/predictions/", "shadows/prediction-log/endpoint=",
)  # fmt: skip
_BY_ENDPOINT = (
    "serving_erasures", "serving_live_history", "serving_splits", "serving_verdicts", "serving_counts",
)  # fmt: skip


class Owner(Belongings):
    """Endpoints."""

    kinds = ("endpoint",)

    def find(self, tx: Any, kind: str, name: str) -> Thing:
        if tx.row("SELECT 1 AS found FROM serving_endpoints WHERE name = :name", {"name": name}) is None:
            raise NotFound(f"There is no endpoint {name[:80]!r}.", "`loopline endpoints` lists them.")
        return Thing(kind, name, name)

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "endpoint":
            where, params = among("endpoint", names)
            yield Rows("serving_sealed", where, params, "sealed log files")
            for table in _BY_ENDPOINT:
                yield Rows(table, where, params)
            yield Rows("serving_revisions", where, params, "deployments")
            yield Rows("serving_endpoints", where.replace("endpoint IN", "name IN"), params)

    def blocks(self, tx: Any, going: Going) -> Iterable[Block]:
        endpoints, versions = set(going.get("endpoint", ())), set(going.get("version", ()))
        for row in filter(_stands, tx.rows(_MADE)):
            version, serves = f"{row['model']}/{row['version']}", f"revision {row['revision']}"
            if row["name"] in endpoints:
                way_out = f"`loopline rm endpoint {row['name']} --stop` takes it off first."
                yield Block("endpoint", row["name"], f"it serves {version} ({serves})", way_out, stops=True)
            elif version in versions:
                why = f"the endpoint {row['name']} serves it ({serves})"
                yield Block("version", version, why, f"`loopline deploy` another version at {row['name']} first.")
        yield from self._following(tx, going, endpoints)

    def _following(self, tx: Any, going: Going, endpoints: set[str]) -> Iterable[Block]:
        """Models that an endpoint that stays is made for."""
        models = set(going.get("model", ()))
        for row in tx.rows("SELECT name, model FROM serving_endpoints WHERE retired_at IS NULL") if models else ():
            if row["model"] in models and row["name"] not in endpoints:
                why = f"the endpoint {row['name']} is made for it"
                yield Block("model", row["model"], why, f"First `loopline rm endpoint {row['name']}`.")

    def stop(self, tx: Any, kind: str, name: str, actor: str) -> None:
        if kind == "endpoint":
            self.service.retire_in(tx, name, actor)

    def folders(self, kind: str, names: Sequence[str]) -> Sequence[str]:
        if kind != "endpoint":
            return []
        return [f"{logs}{name}" for name in names for logs in _LOGS]


def _stands(row: Any) -> bool:
    """Whether a revision answers, shall, or runs beside what does."""
    beside = (decoded(row["traffic"]) or Traffic()).revisions()
    return row["revision"] in (row["live_revision"], row["wanted_revision"], *beside)

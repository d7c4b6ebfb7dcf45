"""What pipelines keep of a run, what the step cache holds, and what runs leave behind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from loopline.core.belongings import Belongings, Reference, Rows, Swept
from loopline.core.times import to_text
from loopline.kit.rows import among

UNUSED_FOR_S = 30 * 86400.0
_BASED = "SELECT run_id, same_as FROM pipelines_runs WHERE {} ORDER BY started_at"
_PLANS = "pipelines_plans WHERE made_at < :at AND stamp NOT IN (SELECT plan FROM pipelines_runs)"
_KEYS = (
    "pipelines_keys WHERE seen_at < :at AND key NOT IN (SELECT key FROM pipelines_steps)"
    " AND key NOT IN (SELECT key FROM pipelines_results)"
)
_CODES = "pipelines_codes WHERE digest NOT IN (SELECT code FROM pipelines_keys)"


class Owner(Belongings):
    """The steps of runs, and the cache."""

    def rows(self, kind: str, names: Sequence[str]) -> Iterable[Rows]:
        if kind == "run":
            where, params = among("run_id", names)
            yield Rows("pipelines_steps", where, params, "steps")
            yield Rows("pipelines_runs", where, params)

    def part(self, tx: Any, kind: str, names: Sequence[str], at: str) -> None:
        """Runs that were wholly taken from one of these have its steps for their own: the first of them gets them."""
        if kind != "run":
            return
        where, params = among("same_as", names)
        going, heirs = set(names), dict[str, list[str]]()
        for row in tx.rows(_BASED.format(where), params):
            if row["run_id"] not in going:
                heirs.setdefault(row["same_as"], []).append(row["run_id"])
        for old, followers in heirs.items():
            moved = {"old": old, "new": followers[0]}
            tx.run("UPDATE pipelines_steps SET run_id = :new WHERE run_id = :old", moved)
            tx.run("UPDATE pipelines_runs SET same_as = '' WHERE run_id = :new", {"new": followers[0]})
            tx.run("UPDATE pipelines_runs SET same_as = :new WHERE same_as = :old", moved)

    def references(self, tx: Any) -> Iterable[Reference]:
        from loopline.usecases.pipelines import eviction

        whose = {
            row["id"]: ("experiment", row["name"])
            for row in tx.rows(
                "SELECT r.id, e.name FROM pipelines_runs p JOIN tracking_runs r ON r.id = p.run_id"
                " JOIN tracking_experiments e ON e.id = r.experiment_id"
            )
        }
        for row in tx.rows("SELECT run_id, log, output FROM pipelines_steps WHERE log <> '' OR output <> ''"):
            for digest in (row["log"], row["output"]):
                if len(digest) == 64:
                    yield Reference("run", row["run_id"], digest, whose.get(row["run_id"], ("runs", "")))
        for row in tx.rows("SELECT run_id, outputs FROM pipelines_runs WHERE LENGTH(outputs) > 64"):
            for digest in msgspec.json.decode(row["outputs"]):
                yield Reference("run", row["run_id"], digest, whose.get(row["run_id"], ("runs", "")))
        for result in eviction.results_of(tx):
            for digest in result.digests:
                yield Reference("result", result.key, digest, ("cache", "results of steps"))

    def sweep(self, now: float, dry_run: bool) -> Iterable[Swept]:
        """Plans and keys that no run and no result names any more."""
        params = {"at": to_text(datetime.fromtimestamp(now - UNUSED_FOR_S, UTC))}
        for what, found in (("plans of pipelines", _PLANS), ("keys of steps", _KEYS), ("code of steps", _CODES)):
            yield Swept(what, removed(self.service._database, found, params if ":at" in found else {}, dry_run))

    def clear(self, **asked: Any) -> Any:
        """Clear up results and bytes (see `eviction.collect`): `in_use`, `now`, `dry_run`, and perhaps limits."""
        from loopline.usecases.pipelines import eviction

        service = self.service
        return eviction.collect(service._database, service._blobs, **asked)

    def recent(self, done: Any) -> int:
        """How many blobs that nothing refers to stay, because they were used within the last hour."""
        from loopline.usecases.pipelines import eviction

        return int(done.kept.get(eviction.RECENT, 0))

    def leftovers(self, referred: set[str], now: float, dry_run: bool) -> tuple[int, int]:
        """What runs left behind: how many files and folders, and their bytes."""
        from loopline.usecases.pipelines import leftovers

        return leftovers.clear_up(self.service._home, self.service._database, referred, now, dry_run)

    def alone(self) -> Any:
        """Have nobody else clear up at the same time; Conflict when somebody does."""
        from loopline.usecases.pipelines import eviction

        return eviction.alone(self.service._home)

    def limits(self, max_age: str | None, max_size: str | None) -> dict[str, Any]:
        """Limits of the cache as `clear` takes them, from texts like "30d" and "10GB"; Invalid for others."""
        from loopline.usecases.pipelines.options import duration, size

        return {
            "max_age": None if max_age is None else duration("max age", max_age)[1],
            "max_size": None if max_size is None else size("max size", max_size)[1],
            "now": time.time(),
        }


def removed(database: Any, found: str, params: dict[str, Any], dry_run: bool) -> int:
    """How many rows are found; unless in a dry run they are gone afterwards."""
    count = int(database.row(f"SELECT COUNT(*) AS n FROM {found}", params)["n"])
    if count and not dry_run:
        database.write(lambda tx: tx.run(f"DELETE FROM {found}", params))
    return count

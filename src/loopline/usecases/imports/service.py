"""The verbs of imports."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loopline.core.ids import new_id
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.imports import model, store
from loopline.usecases.imports.bringing import Bringing, checked_prefix
from loopline.usecases.imports.model import Report, Source
from loopline.usecases.imports.needs import Ledger, Registry, Tracking
from loopline.usecases.imports.registering import Registering


class Imports:
    """What was tracked and registered elsewhere comes in, and goes out again."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        tracking: Tracking,
        registry: Registry,
        blobs: Blobs,
        clock: Clock,
        home: Path,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._tracking = tracking
        self._registry = registry
        self._blobs = blobs
        self._clock = clock
        self._home = home

    def mlflow(
        self,
        address: str,
        *,
        actor: str,
        artifacts: Path | None = None,
        prefix: str = "",
        dry_run: bool = False,
        tell: Callable[[int, int | None, str], None] | None = None,
    ) -> Report:
        """Bring in all that an MLflow server, `mlruns` folder or database holds; see docs/importing.md.

        What came before and is unchanged stays as it is. `tell(done, total, what)` hears of runs done. Raises NotFound,
        Invalid or Unavailable when the source cannot be read at all.
        """
        from loopline.usecases.imports.sources import opened

        prefix = checked_prefix(prefix)
        source = opened(address, artifacts, self._home / "work")
        try:
            return self._brought(source, actor, prefix, dry_run, tell)
        finally:
            source.close()

    def to_mlflow(
        self,
        address: str,
        *,
        experiment: str = "",
        model_name: str = "",
        where: str = "",
        dry_run: bool = False,
        tell: Callable[[int, int | None, str], None] | None = None,
    ) -> Report:
        """Write experiments, runs, logged and registered models into an `mlruns` folder or to an MLflow server.

        `where` chooses runs as a search does, `model_name` one registered model with the runs of its versions. What is
        there already and unchanged stays as it is.
        """
        from loopline.usecases.imports.bearing import borne
        from loopline.usecases.imports.sources.here import Here
        from loopline.usecases.imports.targets import opened

        began = time.monotonic()
        chosen = self._chosen(experiment, where) if where else None
        if model_name:
            runs = frozenset(one.run_id for one in self._registry.versions(model_name) if one.run_id)
            chosen = runs if chosen is None else chosen & runs
        source = Here(self._tracking, self._registry, self._blobs, str(self._home), experiment, chosen, model_name)
        target = opened(address)
        try:
            report = borne(source, target, tell or (lambda done, total, what: None), dry_run)
        finally:
            target.close()
        report.seconds = round(time.monotonic() - began, 3)
        return report

    def _chosen(self, experiment: str, where: str) -> frozenset[str]:
        found: set[str] = set()
        page = ""
        while True:
            answer = self._tracking.search(where, experiment=experiment, limit=1000, page=page)
            found.update(run.id for run in answer.runs)
            page = answer.next
            if not page:
                return frozenset(found)

    def imports(self, limit: int = 100) -> list[dict[str, Any]]:
        """The imports so far, newest first, with their reports."""
        return self._database.read(lambda tx: store.imports(tx, limit))

    def _brought(
        self,
        source: Source,
        actor: str,
        prefix: str,
        dry_run: bool,
        tell: Callable[[int, int | None, str], None] | None,
    ) -> Report:
        began, number = time.monotonic(), new_id()
        under_way = Bringing(
            source,
            self._database,
            self._ledger,
            self._tracking,
            self._blobs,
            actor,
            self._clock.text,
            prefix=prefix,
            dry_run=dry_run,
            tell=tell,
        )
        if not dry_run:
            self._database.write(lambda tx: store.begin(tx, number, source.name, self._clock.text(), actor))
        under_way.runs()
        Registering(under_way, self._database, self._registry, actor, prefix, dry_run).models(source)
        report = under_way.report
        report.seconds = round(time.monotonic() - began, 3)
        if not dry_run:
            self._database.write(lambda tx: self._ended(tx, number, report, actor))
        return report

    def _ended(self, tx: Transaction, number: str, report: Report, actor: str) -> None:
        store.end(tx, number, self._clock.text(), report)
        if report.changed():
            body = {
                name: getattr(report, name) for name in report.__struct_fields__ if name not in ("losses", "dry_run")
            }
            self._ledger.append(tx, model.FINISHED, number, actor, body)

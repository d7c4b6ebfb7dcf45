"""What all verbs of the registry stand on: the engines, those it asks, and the changes that several verbs make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import Invalid, NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.ports.engine import Engine
from loopline.ports.runtime import Runtime
from loopline.usecases.registry import cards_store, model, store
from loopline.usecases.registry.model import AliasMove, Manifest, Version
from loopline.usecases.registry.needs import (
    Automation,
    Datasets,
    Ledger,
    Monitoring,
    Projects,
    Promotion,
    Serving,
    Tracking,
)


class Base:
    """The engines, shared by the groups of verbs that `Registry` is made of."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        blobs: Blobs,
        clock: Clock,
        home: Path,
        runtimes: Mapping[str, Runtime],
        engines: Mapping[str, Engine],
        tracking: Tracking,
        projects: Projects,
        serving: Serving,
        promotion: Promotion,
        datasets: Datasets,
        monitoring: Monitoring,
        automation: Automation,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._home = home
        self._runtimes = runtimes
        self._engines = engines
        self._tracking = tracking
        self._projects = projects
        self._serving = serving
        self._promotion = promotion
        self._datasets = datasets
        self._monitoring = monitoring
        self._automation = automation
        self._noted: set[tuple[str, int, str, str, str]] = set()  # downloads written today

    def _known(self, tx: Transaction, name: str) -> None:
        """NotFound for a model that is not registered."""
        if not store.has_model(tx, name):
            raise NotFound(
                f"Registered Model with name={name[:200]} not found.", "`loopline models` lists those that exist."
            )

    def _versions(self, tx: Transaction, name: str) -> list[Version]:
        """All versions of a model, oldest first; NotFound for an unknown one."""
        self._known(tx, name)
        return store.versions(tx, name)

    def _aliases(self, tx: Transaction, name: str) -> dict[str, int]:
        """Alias → version of a model; NotFound for an unknown one."""
        self._known(tx, name)
        return store.aliases(tx, name)

    def _there(self, tx: Transaction, name: str, number: int) -> Version:
        """A version; NotFound when it, or its model, does not exist."""
        found = store.version(tx, name, number) if 0 <= number < 2**63 else None
        if found is None:
            self._known(tx, name)
            raise NotFound(
                f"Model Version (name={name[:200]}, version={number}) not found.",
                "`loopline versions MODEL` lists them.",
            )
        return found

    def _add(self, tx: Transaction, draft: Version) -> Version:
        """Write a version under the next number, with the fact that tells of it."""
        number = store.next_version(tx, draft.model, draft.created_at, draft.created_by)
        version = msgspec.structs.replace(draft, version=number, updated_at=draft.created_at)
        store.add_version(tx, version)
        body: dict[str, Any] = {
            "model": version.model,
            "version": number,
            "digest": version.digest,
            "format": version.format,
            "run_id": version.run_id,
            "servable": version.servable,
            "evaluation": version.evaluation_digest,
            "profile": version.profile_digest,
            **model.lineage(version.metadata),
        }
        subject = model.version_key(version.model, number)
        self._ledger.append(tx, model.VERSION_REGISTERED, subject, version.created_by, body)
        return version

    def _move(
        self, tx: Transaction, name: str, alias: str, before: int | None, after: int | None, actor: str, reason: str
    ) -> AliasMove:
        """Point an alias elsewhere, or to nothing, and remember it."""
        kind = model.ALIAS_MOVED if after is not None else model.ALIAS_REMOVED
        body = {"model": name, "alias": alias, "from": before, "to": after, "reason": reason}
        fact = self._ledger.append(tx, kind, model.alias_key(name, alias), actor, body)
        move = AliasMove(
            seq=fact.seq,
            model=name,
            alias=alias,
            from_version=before,
            version=after,
            reason=reason,
            actor=actor,
            moved_at=fact.at,
        )
        store.point(tx, move)
        if after is not None:
            cards_store.pin(tx, fact.seq, name, after, alias, fact.at)
        return move

    def _manifest(self, digest: str) -> Manifest:
        try:
            return model.parsed_manifest(self._blobs.get(digest))
        except NotFound:
            raise Invalid(f"No model is stored under {digest}.", "Keep its folder first.") from None

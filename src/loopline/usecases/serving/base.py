"""What all verbs of serving stand on: the engines, and how endpoints and revisions are found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopline.core.errors import NotFound, Refused
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.serving import store
from loopline.usecases.serving.model import Endpoint, Revision, subject
from loopline.usecases.serving.needs import Datasets, Facts, Tokens, Versions


class Base:
    """The engines, shared by the groups of verbs that `Serving` is made of."""

    def __init__(
        self, database: Database, clock: Clock, home: Path, ledger: Facts, registry: Versions, access: Tokens,
        datasets: Datasets,
    ) -> None:  # fmt: skip
        self._database = database
        self._clock = clock
        self._home = home
        self._ledger = ledger
        self._registry = registry
        self._access = access
        self._datasets = datasets

    def _find(self, name: str) -> Endpoint | None:
        return self._database.read(lambda tx: store.endpoint(tx, name))

    def _endpoint(self, tx: Transaction, name: str) -> Endpoint:
        found = store.endpoint(tx, name)
        if found is None:
            raise NotFound(
                f"There is no endpoint {name!r}.", "`loopline endpoints` lists them; `loopline deploy` makes one."
            )
        return found

    def _revision(self, tx: Transaction, name: str, number: int) -> Revision:
        found = store.revision(tx, name, number)
        if found is None:
            raise NotFound(f"Endpoint {name!r} has no revision {number}.", "`loopline endpoints NAME` lists them.")
        return found

    def _version(self, model_name: str, version: int | str) -> Any:
        if isinstance(version, str) and not version.isdecimal():
            found: Any = self._registry.find(f"{model_name}@{version}")
        else:
            found = self._registry.version(model_name, int(version))
        if not found.servable:
            raise Refused(
                f"Version {found.version} of {model_name!r} is stored as {found.format!r} and is never loaded.",
                "Save the model in a safe format and register it again.",
            )
        return found

    def _tell(self, tx: Transaction, kind: str, about: Revision, actor: str, **more: Any) -> None:
        body: Mapping[str, Any] = {
            "endpoint": about.endpoint,
            "revision": about.revision,
            "model": about.model,
            "version": about.version,
            "digest": about.digest,
            **({"rules": about.rules} if about.rules else {}),
        }
        self._ledger.append(tx, kind, subject(about.endpoint), actor, {**body, **more})

"""Registered models on their way in: each version in a transaction of its own, together with the note that it came."""

from __future__ import annotations

import re
from typing import Any

from loopline.core.errors import LooplineError
from loopline.core.times import from_ms
from loopline.ports.database import Database, Transaction
from loopline.usecases.imports import model
from loopline.usecases.imports.bringing import Bringing
from loopline.usecases.imports.fitting import MARKS, moment
from loopline.usecases.imports.model import RegisteredModel, Source, Version
from loopline.usecases.imports.needs import Registry

REASON = "imported"
_OF_RUN = re.compile(r"(?:runs:/|.*/)([0-9a-f]{32})(?:/artifacts)?(?:/(.*))?\Z", re.S)


class Registering:
    """The registry's part of one import, after its runs."""

    def __init__(
        self, bringing: Bringing, database: Database, registry: Registry, actor: str, prefix: str, dry_run: bool
    ) -> None:
        self._bringing = bringing
        self._database = database
        self._registry = registry
        self._actor = actor
        self._prefix = re.sub(r"[/:]", "-", prefix)
        self._dry_run = dry_run
        self._report = bringing.report

    def models(self, source: Source) -> None:
        """Bring in all registered models."""
        for one in source.registered(self._report):
            try:
                self._one(one)
            except LooplineError as error:
                self._report.lose("registered model", one.name, str(error)[:300])

    def _one(self, one: RegisteredModel) -> None:
        name = f"{self._prefix}{one.name}"
        known = self._bringing.known("model", [one.name]).get(one.name)
        stamp = model.stamp_of(one.name, one.description, one.tags)
        if known is None:
            self._report.models += 1
        if not self._dry_run and (known is None or known.stamp != stamp):
            self._make(name, one)
            self._note("model", one.name, name, stamp)
        for version in one.versions:
            self._version(name, one, version)
        self._aliases(name, one)

    def _make(self, name: str, one: RegisteredModel) -> None:
        tags = {key: value for key, value in one.tags.items() if key not in MARKS}
        if name not in {there.name for there in self._registry.models()}:
            self._registry.create(name, actor=self._actor, description=one.description, tags=tags)
            return
        if one.description:
            self._registry.describe(name, one.description, self._actor)
        if tags:
            self._registry.tag(name, tags, self._actor)

    def _version(self, name: str, one: RegisteredModel, version: Version) -> None:
        key = f"{one.name}/{version.number}"
        known = self._bringing.known("version", [key]).get(key)
        stamp = model.stamp_of(version)
        if known is not None and known.stamp == stamp:
            return
        if self._dry_run:
            self._report.versions += known is None
            return
        try:
            if known is None:
                self._arrive(name, key, version, stamp)
            else:
                self._change(name, int(known.target), version)
                self._note("version", key, known.target, stamp)
        except LooplineError as error:
            self._report.lose("version", key, str(error)[:300])

    def _arrive(self, name: str, key: str, version: Version, stamp: str) -> None:
        source, run_id, model_id = self._origin(version)

        def note(tx: Transaction, made: Any) -> None:
            self._bringing.remember(tx, "version", [(key, str(made.version), stamp)])

        made = self._registry.arrive(
            name,
            source,
            actor=self._actor,
            run_id=run_id or None,
            model_id=model_id or None,
            description=version.description,
            tags={key: value for key, value in version.tags.items() if key not in MARKS},
            run_link=version.run_link,
            user_id=version.user_id,
            created_at=from_ms(moment(version.created_ms)),
            number=version.number,
            then=note,
        )
        self._report.versions += 1
        if made.version != version.number:
            self._report.lose("version", key, f"its number was taken; it is {name}/{made.version} here")
        if not self._registry.files_of(name, made.version):
            self._report.lose("version", key, f"its files at {source[:200]} cannot be reached")
        if version.stage != "None":
            self._registry.stage(name, made.version, version.stage, self._actor)

    def _change(self, name: str, number: int, version: Version) -> None:
        there = self._registry.known_version(name, number)
        if there.description != version.description:
            self._registry.describe_version(name, number, version.description, self._actor)
        tags = {key: value for key, value in version.tags.items() if there.tags.get(key) != value and key not in MARKS}
        if tags:
            self._registry.tag(name, tags, self._actor, number)
        if there.stage != version.stage:
            self._registry.stage(name, number, version.stage, self._actor)

    def _aliases(self, name: str, one: RegisteredModel) -> None:
        """Aliases follow the source when they moved there since they came, and stay where they were moved here."""
        known = self._bringing.known("alias", [f"{one.name}@{alias}" for alias in one.aliases])
        numbers = self._bringing.known("version", [f"{one.name}/{number}" for number in one.aliases.values()])
        for alias, number in one.aliases.items():
            key, there = f"{one.name}@{alias}", numbers.get(f"{one.name}/{number}")
            if key in known and known[key].stamp == str(number):
                continue
            self._report.aliases += 1
            if self._dry_run:
                continue
            if there is None:
                self._report.lose("alias", key, f"version {number} did not come in")
                continue
            try:
                self._registry.set_alias(name, alias, int(there.target), self._actor, REASON)
                self._note("alias", key, there.target, str(number))
            except LooplineError as error:
                self._report.lose("alias", key, str(error)[:300])

    def _origin(self, version: Version) -> tuple[str, str, str]:
        """Address, run and logged model of a version, under the ids that they have here."""
        if version.model_id:
            model_id = self._bringing.models.get(version.model_id, version.model_id)
            return f"models:/{model_id}", "", model_id
        for address in (version.source, version.storage):
            found = _OF_RUN.match(address)
            if found is not None:
                run_id = self._bringing.ids.get(found[1], found[1])
                return f"runs:/{run_id}/{found[2] or ''}".rstrip("/"), run_id, ""
        return version.source or version.storage, self._bringing.ids.get(version.run_id, version.run_id), ""

    def _note(self, kind: str, name: str, target: str, stamp: str) -> None:
        self._database.write(lambda tx: self._bringing.remember(tx, kind, [(name, target, stamp)]))

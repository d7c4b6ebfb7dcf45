"""Changes of models and versions: made, described, tagged, renamed, staged, deleted; aliases set and taken off.

A name that a gate guards is moved by promotion alone: here every way to move, empty or replace it is refused.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from loopline.core.errors import Conflict, Invalid, Refused, Taken
from loopline.ports.database import Transaction
from loopline.usecases.registry import model, store
from loopline.usecases.registry.base import Base
from loopline.usecases.registry.model import RegisteredModel, Version

LONGEST_NAME, LONGEST_ALIAS, LONGEST_KEY, LONGEST_VALUE, LONGEST_TOLD = 256, 255, 250, 100_000, 1_000
LONGEST_DESCRIPTION = 100_000
_ALIAS = re.compile(r"[\w\-]+\Z")
_KEY = re.compile(r"[\w\-./: ]+\Z")
_RESERVED = re.compile(r"latest\Z|v[0-9]+\Z", re.I)


class Changing(Base):
    """Each change is a fact."""

    def create(
        self, name: str, *, actor: str, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """A new model without versions. Taken when the name is; Invalid for a bad one."""
        checked_model_name(name)
        given, description = checked_tags(tags or {}), checked_description(description)

        def work(tx: Transaction) -> RegisteredModel:
            if not store.add_model(tx, name, self._clock.text(), actor, description):
                raise Taken(f"Registered Model (name={name}) already exists.", "Use it, or choose another name.")
            store.put_tags(tx, name, given)
            body = {"model": name, "description": description[:LONGEST_TOLD], "tags": told(given)}
            self._ledger.append(tx, model.CREATED, name, actor, body)
            return self._model(tx, name)

        return self._database.write(work)

    def describe(self, name: str, description: str, actor: str) -> RegisteredModel:
        """Say what a model is for."""
        description = checked_description(description)

        def work(tx: Transaction) -> RegisteredModel:
            self._known(tx, name)
            store.change_model(tx, name, self._clock.text(), description=description)
            self._ledger.append(tx, model.DESCRIBED, name, actor, {"description": description[:LONGEST_TOLD]})
            return self._model(tx, name)

        return self._database.write(work)

    def describe_version(self, name: str, version: int, description: str, actor: str) -> Version:
        """Say what is special about a version."""
        description = checked_description(description)

        def work(tx: Transaction) -> Version:
            self._there(tx, name, version)
            store.change_version(tx, name, version, self._clock.text(), description=description)
            subject = model.version_key(name, version)
            self._ledger.append(tx, model.DESCRIBED, subject, actor, {"description": description[:LONGEST_TOLD]})
            return self._there(tx, name, version)

        return self._database.write(work)

    def tag(self, name: str, tags: Mapping[str, str], actor: str, version: int | None = None) -> None:
        """Set tags of a model, or of one of its versions."""
        given = checked_tags(tags)

        def work(tx: Transaction) -> None:
            subject = self._subject(tx, name, version)
            store.put_tags(tx, name, given, version)
            self._ledger.append(tx, model.TAGGED, subject, actor, {"tags": told(given)})

        self._database.write(work)

    def untag(self, name: str, key: str, actor: str, version: int | None = None) -> None:
        """Take a tag off; one that is not there may be taken off too."""
        checked_tags({key: ""})

        def work(tx: Transaction) -> None:
            subject = self._subject(tx, name, version)
            if store.drop_tag(tx, name, key, version):
                self._ledger.append(tx, model.UNTAGGED, subject, actor, {"tags": [key]})

        self._database.write(work)

    def rename(self, name: str, new: str, actor: str) -> RegisteredModel:
        """Give a model another name, under which it keeps versions, aliases and history. Taken when the name is;
        Refused while it is served or holds a name that a gate guards under either name."""
        checked_model_name(new)
        if new == name:
            return self.one(name)
        self._check_not_served(name, None)
        found = self._database.read(lambda tx: self._versions(tx, name))
        for held in names_held(found):
            for owner in (name, new):
                self._check_open(owner, held, f"{name!r} cannot be renamed")

        def work(tx: Transaction) -> RegisteredModel:
            self._known(tx, name)
            if store.has_model(tx, new):
                raise Taken(f"Registered Model (name={new}) already exists.", "Choose another name.")
            store.rename_model(tx, name, new, self._clock.text())
            self._ledger.append(tx, model.RENAMED, new, actor, {"from": name, "to": new})
            return self._model(tx, new)

        return self._database.write(work)

    def delete(self, name: str, actor: str) -> None:
        """Take a model off with its versions and aliases; their numbers are not given again under this name. Refused
        while it is served or holds a name that a gate guards."""
        self._check_not_served(name, None)
        found = self._database.read(lambda tx: self._versions(tx, name))
        for held in names_held(found):
            self._check_open(name, held, f"{name!r} cannot be deleted")

        def work(tx: Transaction) -> None:
            self._known(tx, name)
            versions = store.versions(tx, name)
            for alias, number in store.aliases(tx, name).items():
                self._move(tx, name, alias, number, None, actor, "the model was deleted")
            for one in versions:
                self._drop(tx, one)
            store.drop_model(tx, name)
            body = {"model": name, "versions": {str(one.version): one.digest for one in versions}}
            self._ledger.append(tx, model.DELETED, name, actor, body)

        self._database.write(work)

    def delete_version(self, name: str, version: int, actor: str) -> None:
        """Take a version off, with the aliases that point to it. Refused while it is served or an alias or stage that
        a gate guards is its."""
        found = self._database.read(lambda tx: self._there(tx, name, version))
        self._check_not_served(name, version)
        for held in names_held([found]):
            self._check_open(name, held, f"Version {version} of {name!r} cannot be deleted", version)

        def work(tx: Transaction) -> None:
            there = self._there(tx, name, version)
            for alias in there.aliases:
                self._move(tx, name, alias, version, None, actor, "the version was deleted")
            self._drop(tx, there)
            store.change_model(tx, name, self._clock.text())
            body = {"model": name, "version": version, "digest": there.digest}
            self._ledger.append(tx, model.VERSION_DELETED, model.version_key(name, version), actor, body)

        self._database.write(work)

    def stage(self, name: str, version: int, stage: str, actor: str, archive: bool = False) -> Version:
        """Put a version into one of MLflow's stages; with `archive`, those that are in it go to Archived. Refused when
        a gate guards the alias of the stage's name."""
        target = checked_stage(stage)
        if archive and target not in ("Staging", "Production"):
            raise Invalid(
                f"Model version transition cannot archive existing model versions because {stage[:40]!r} is not an "
                "Active stage.",
                "Valid stages are Staging and Production.",
            )
        found = self._database.read(lambda tx: self._there(tx, name, version))
        for touched in {target, found.stage} - {model.NO_STAGE, "Archived"}:
            self._check_open(name, touched, f"Version {version} of {name!r} cannot change its stage", version)

        def work(tx: Transaction) -> Version:
            there, at = self._there(tx, name, version), self._clock.text()  # one change, one time for all it touches
            if archive:
                for one in store.versions(tx, name):
                    if one.stage == target and one.version != version:
                        self._staged(tx, one, "Archived", actor, at)
            if there.stage != target:
                self._staged(tx, there, target, actor, at)
            return self._there(tx, name, version)

        return self._database.write(work)

    def set_alias(self, name: str, alias: str, version: int, actor: str, reason: str) -> None:
        """Point an alias at a version, unless a gate guards it (then Refused, with the way through the gate)."""
        checked_alias(alias)
        self._check_open(name, alias, f"The alias {alias!r} of {name!r} cannot be moved", version)

        def work(tx: Transaction) -> None:
            self._there(tx, name, version)
            before = store.aliases(tx, name).get(alias)
            if before != version:
                self._move(tx, name, alias, before, version, actor, reason)

        self._database.write(work)

    def remove_alias(self, name: str, alias: str, actor: str, reason: str) -> None:
        """Take an alias off; one that is not there may be taken off too. Refused when a gate guards it."""
        checked_alias(alias)

        def work(tx: Transaction) -> None:
            self._known(tx, name)
            before = store.aliases(tx, name).get(alias)
            if before is not None:
                self._move(tx, name, alias, before, None, actor, reason)

        if self._database.read(lambda tx: self._aliases(tx, name)).get(alias) is not None:
            self._check_open(name, alias, f"The alias {alias!r} of {name!r} cannot be taken off")
        self._database.write(work)

    def one(self, name: str) -> RegisteredModel:
        """One registered model; NotFound."""
        return self._database.read(lambda tx: self._model(tx, name))

    def _model(self, tx: Transaction, name: str) -> RegisteredModel:
        found = store.model(tx, name)
        if found is None:
            self._known(tx, name)
            raise Conflict(f"The model {name!r} is just being changed.", "Try again.")
        return found

    def _subject(self, tx: Transaction, name: str, version: int | None) -> str:
        if version is None:
            self._known(tx, name)
            return name
        self._there(tx, name, version)
        return model.version_key(name, version)

    def _drop(self, tx: Transaction, version: Version) -> None:
        store.drop_version(tx, version.model, version.version)
        if not store.has_digest(tx, version.digest):
            self._tracking.unshare_in(tx, version.digest)

    def _staged(self, tx: Transaction, version: Version, stage: str, actor: str, at: str) -> None:
        store.change_version(tx, version.model, version.version, at, stage=stage)
        body = {"model": version.model, "version": version.version, "from": version.stage, "to": stage}
        subject = model.version_key(version.model, version.version)
        self._ledger.append(tx, model.VERSION_STAGED, subject, actor, body)

    def _check_open(self, name: str, held: str, what: str, version: int | None = None) -> None:
        """Refused when a gate guards an alias, or the alias that a stage would be in small letters."""
        for alias in dict.fromkeys((held, held.lower())):
            if self._projects.gate(name, alias) is not None:
                raise Refused(
                    f"{what}: a gate guards {alias} of {name!r}.",
                    f"Go through it: `loopline gate {name}:{version or 'VERSION'} --to {alias}`, then `loopline promote`.",
                )

    def _check_not_served(self, name: str, version: int | None) -> None:
        """Refused while an endpoint answers with the model, or with one version of it."""
        for endpoint in self._serving.endpoints():
            if endpoint.model != name or (
                version is not None and version not in self._deployed(endpoint.name, {endpoint.live, endpoint.wanted})
            ):
                continue
            what = f"Version {version} of {name!r}" if version is not None else f"{name!r}"
            raise Refused(
                f"{what} is served by the endpoint {endpoint.name!r}.",
                "Deploy another version there, or take it off, first.",
            )

    def _deployed(self, endpoint: str, revisions: set[int | None]) -> set[int]:
        return {one.version for one in self._serving.revisions(endpoint) if one.revision in revisions}


def names_held(versions: Iterable[Version]) -> list[str]:
    """The aliases and stages that versions have."""
    stages = {one.stage for one in versions} - {model.NO_STAGE, "Archived"}
    return sorted({alias for one in versions for alias in one.aliases} | stages)


def told(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as a fact repeats them: the beginning of each."""
    return {key: value[:LONGEST_TOLD] for key, value in tags.items()}


def checked_model_name(name: str) -> str:
    """The name of a registered model as MLflow allows it, or Invalid."""
    good = name.strip() and len(name) <= LONGEST_NAME and name.isprintable() and name not in (".", "..")
    if not good:
        raise Invalid(
            f"Invalid value {name[:80]!r} for parameter 'name': it cannot be a model's name.",
            f"Use 1 to {LONGEST_NAME} visible characters.",
        )
    if "/" in name or ":" in name:
        raise Invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.", "Choose another name.")
    return name


def checked_alias(alias: str) -> str:
    """An alias as MLflow allows it, or Invalid."""
    if not alias or len(alias) > LONGEST_ALIAS or not _ALIAS.match(alias):
        raise Invalid(
            f"Invalid alias name: {alias[:80]!r}. Names may only contain alphanumerics, underscores (_), and dashes (-).",
            f"Use 1 to {LONGEST_ALIAS} of them.",
        )
    if _RESERVED.match(alias):
        raise Invalid(f"The alias name {alias!r} is reserved.", "Choose another name.")
    return alias


def checked_stage(stage: str) -> str:
    """A stage by its usual spelling, or Invalid."""
    for known in model.STAGES:
        if stage.lower() == known.lower():
            return known
    raise Invalid(f"Invalid Model Version stage: {stage[:40]}.", f"Value must be one of {', '.join(model.STAGES)}.")


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags of models and versions; Invalid for a key that would be another one as a path, or for one too long."""
    for key, value in tags.items():
        if len(key) > LONGEST_KEY:
            raise Invalid(f"'key' exceeds the maximum length of {LONGEST_KEY} characters.", "Shorten it.")
        if not _KEY.match(key) or posixpath.normpath(key) != key or key.startswith(("/", "..")):
            raise Invalid(
                f"Invalid value {key[:80]!r} for parameter 'key' supplied.",
                "Use letters, digits, spaces and - _ . / : only.",
            )
        if len(value) > LONGEST_VALUE:
            raise Invalid(
                f"'value' exceeds the maximum length of {LONGEST_VALUE} characters.", "Keep it as an artifact."
            )
    return dict(tags)


def checked_description(text: str) -> str:
    """A description, or Invalid when it is too long."""
    if len(text) > LONGEST_DESCRIPTION:
        raise Invalid(
            f"A description of {len(text):,} characters is too long.", f"At most {LONGEST_DESCRIPTION:,} are kept."
        )
    return text

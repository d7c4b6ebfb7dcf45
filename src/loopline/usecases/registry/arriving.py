"""Versions that come through MLflow's door: where their files lie, and what is kept of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from loopline.core.errors import Invalid, LooplineError, NotFound
from loopline.ports.database import Transaction
from loopline.usecases.registry import flavors, model, store
from loopline.usecases.registry.base import Base
from loopline.usecases.registry.changing import checked_description, checked_model_name, checked_tags
from loopline.usecases.registry.model import Manifest, Version

IS_PROMPT = "mlflow.prompt.is_prompt"
MODEL_VERSIONS = "mlflow.modelVersions"
PROMPT_SOURCES = ("dummy-source", "prompt-template")
LONGEST_SOURCE = 8_000
MOST_METRICS = 1_000
PIECE = 1 << 18
HELD_OUT = ("evaluation.parquet", "evaluation.arrow")
FROM_TAGS = {"loopline.label": "label", "loopline.trained_until": "trained_until"}
MOST_TOLD_VERSIONS = 100
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}\Z")
_LOCAL = re.compile(r"[A-Za-z]:[\\/]|[^:]*\Z", re.S)


class Origin(NamedTuple):
    """Where a version comes from: its files by name, and the address, run and model to note with it. `copied` is the
    version of which it is a copy."""

    files: dict[str, str]
    source: str
    run_id: str
    model_id: str
    copied: Version | None = None


class Arriving(Base):
    """A version made by MLflow's clients is kept whole: all its files, and the manifest that names them."""

    def arrive(
        self,
        name: str,
        source: str,
        *,
        actor: str,
        run_id: str | None = None,
        model_id: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        run_link: str = "",
        user_id: str = "",
        created_at: str = "",
        number: int = 0,
        then: Callable[[Transaction, Version], None] | None = None,
    ) -> Version:
        """A new version of a registered model from the files at `source`: an address of a run's, a logged model's or
        another version's files, or one elsewhere, whose files are not kept.

        One that comes from elsewhere keeps its time and, where it is still free, its `number`; `then` is done in the same
        transaction. Servable only when a runtime can load it safely; `not_servable` in its metadata says why it is not. NotFound for
        an unknown model; Invalid for a source that leads out of the run or model that it is said to belong to.
        """
        checked_model_name(name)
        given = checked_tags(tags or {})
        self._database.read(lambda tx: self._known(tx, name))
        prompt = given.get(IS_PROMPT, "").lower() == "true"
        origin = prompt_origin(source) if prompt else self._origin(source, run_id, model_id)
        draft = msgspec.structs.replace(
            self._draft(origin, given),
            model=name,
            created_at=created_at or self._clock.text(),
            created_by=actor,
            user_id=user_id[:200] or actor,
            source=origin.source,
            run_link=run_link[:LONGEST_SOURCE],
            description=checked_description(description),
            tags=given,
        )

        def work(tx: Transaction) -> Version:
            self._known(tx, name)
            store.skip_to(tx, name, number)
            made = self._add(tx, draft)
            if origin.files:
                self._tracking.share_in(tx, made.digest, origin.files)
            if origin.model_id:
                self._tell_model(tx, made)
            if then is not None:
                then(tx, made)
            return made

        return self._database.write(work)

    def _draft(self, origin: Origin, tags: Mapping[str, str]) -> Version:
        """What is known of a version by its files, or by the version that it copies."""
        told = {key: tags[tag] for tag, key in FROM_TAGS.items() if tag in tags}
        if origin.copied is not None:
            copied = origin.copied
            fresh = {"version": 0, "aliases": (), "stage": model.NO_STAGE, "metadata": copied.metadata | told}
            return msgspec.structs.replace(copied, **fresh)
        found = flavors.examined(origin.files, self._head, self._blobs.path, self._runtimes)
        manifest = Manifest(format=found.format, signature=found.signature, files=found.files, beside=origin.files)
        return Version(
            model="",
            version=0,
            digest=self._blobs.put(model.encoded_manifest(manifest)),
            format=found.format,
            signature=found.signature,
            metrics=self._metrics(origin),
            run_id=origin.run_id,
            metadata=found.told | told | ({"not_servable": found.reason} if found.reason else {}),
            servable=not found.reason,
            created_at="",
            created_by="",
            model_id=origin.model_id,
            evaluation_digest=self._held_out(origin),
        )

    def download_address(self, name: str, version: int) -> str:
        """Where the files of a version are read: under its own digest when they are kept here, so that what is loaded
        is what was registered; else at its source."""
        found = self._database.read(lambda tx: self._there(tx, name, version))
        kept = self._manifest(found.digest)
        if kept.beside or not found.source:
            return f"mlflow-artifacts:/registered/{found.digest}/artifacts"
        return found.source

    def files_of(self, name: str, version: int) -> dict[str, str]:
        """All files of a version, {name: digest}."""
        found = self._database.read(lambda tx: self._there(tx, name, version))
        kept = self._manifest(found.digest)
        return kept.beside or kept.files

    def known_version(self, name: str, version: int) -> Version:
        """One version; NotFound says whether the model or the version is missing."""
        return self._database.read(lambda tx: self._there(tx, name, version))

    def pieces_of(self, digest: str) -> tuple[int, Iterator[bytes]]:
        """The size in bytes of a file of a version, and its bytes in pieces; NotFound at once when they are lost."""
        path, size = self._blobs.path(digest), self._blobs.size(digest)

        def read() -> Iterator[bytes]:
            with open(path, "rb") as stream:
                while piece := stream.read(PIECE):
                    yield piece

        return size, read()

    def _origin(self, source: str, run_id: str | None, model_id: str | None) -> Origin:
        if not source or len(source) > LONGEST_SOURCE or not source.isprintable():
            raise wrong_source(source)
        plain = decoded(source)
        if (
            ".." in re.split(r"[/\\]", plain.partition("?")[0])
            or "\0" in plain
            or ".." in (urlsplit_of(plain).query or "")
        ):
            raise wrong_source(source)
        scheme = urlsplit_of(source).scheme.lower()
        if scheme == "models":
            return self._from_models(source, run_id, model_id)
        if _LOCAL.match(source) or scheme == "file":
            return self._from_disk(source, plain, run_id or "", model_id or "")
        place = self._tracking.address(source)
        if place is None:
            if model_id:
                self._root(source, "", model_id)
            return Origin({}, source, run_id or "", model_id or "")
        return self._from_files(source, place, run_id or "", model_id or "")

    def _from_models(self, source: str, run_id: str | None, model_id: str | None) -> Origin:
        """From a logged model, or from another version, whose run and model it takes over."""
        parts = urlsplit_of(source)
        rest = parts.path.lstrip("/")
        if parts.netloc or not rest:
            raise wrong_source(source, "Registered model sources must use the active model registry.")
        if _MODEL_ID.match(rest):
            if model_id != rest:
                raise not_of(source, "model_id")
            logged = self._logged(source, rest)
            return Origin(self._all_files(rest), source, run_id or logged.source_run_id, rest)
        found = self._version_at(source, rest)
        if (run_id is not None and run_id != found.run_id) or (model_id is not None and model_id != found.model_id):
            raise wrong_source(source, "The run_id and model_id parameters must match the referenced model version.")
        kept = self._manifest(found.digest)
        canonical = f"models:/{found.model}/{found.version}"
        return Origin(dict(kept.beside or kept.files), canonical, found.run_id, found.model_id, found)

    def _version_at(self, source: str, rest: str) -> Version:
        """The version that `name/3`, `name/Production`, `name/latest` or `name@alias` means."""
        name, slash, which = rest.partition("/")
        if not slash:
            name, _, alias = rest.rpartition("@")
            number = self._database.read(lambda tx: self._aliases(tx, name)).get(alias)
        elif which.isdecimal() and which.isascii() and len(which) < 19:
            number = int(which)
        else:
            versions = self._database.read(lambda tx: self._versions(tx, name))
            fits = [one.version for one in versions if which.lower() in ("latest", one.stage.lower())]
            number = fits[-1] if fits else None
        if number is None:
            raise wrong_source(source)
        found = self._database.read(lambda tx: self._there(tx, name, number))
        tags = self._database.read(lambda tx: store.model_tags(tx, name)).get(name, {})
        if tags.get(IS_PROMPT, "").lower() == "true":
            raise wrong_source(source, "Prompt versions cannot be used as model version sources.")
        return found

    def _from_disk(self, source: str, plain: str, run_id: str, model_id: str) -> Origin:
        """A path on a disk is only noted, and only when it lies in the folder that the run or model itself names."""
        root = self._root(source, run_id, model_id)
        folder = urlsplit_of(root).path if root.startswith("file:") else root
        inside = urlsplit_of(plain).path if plain.startswith("file:") else plain
        if (
            root
            and (_LOCAL.match(root) or root.startswith("file:"))
            and (inside + "/").startswith(folder.rstrip("/") + "/")
        ):
            return Origin({}, source, run_id, model_id)
        what = "model_id" if model_id else "run_id"
        raise wrong_source(
            source,
            f"To use a local path as a model version source, the {what} request parameter has to be specified and the "
            f"local path has to be contained within the artifact directory of the run specified by the {what}.",
        )

    def _from_files(self, source: str, place: Any, run_id: str, model_id: str) -> Origin:
        """From files kept here, which must be those of the run or model that the version is said to come from."""
        mine = place.owner == (model_id or run_id) or place.owner.startswith("version ")
        if not mine or (urlsplit_of(source).scheme == "runs" and model_id):
            raise not_of(source, "model_id" if model_id else "run_id")
        root = self._root(source, run_id, model_id)
        if root and self._tracking.address(root) is None:  # its files lie elsewhere
            return Origin({}, source, run_id, model_id)
        files = self._all_files(place.owner, place.name)
        return Origin(files, source, run_id or self._run_of(source, model_id), model_id)

    def _root(self, source: str, run_id: str, model_id: str) -> str:
        """The address of the files of the model, else of the run; Invalid when there is no such thing."""
        try:
            if model_id:
                return self._tracking.model_root(model_id)
            return self._tracking.root_of(run_id) if run_id else ""
        except NotFound:
            raise not_of(source, "model_id" if model_id else "run_id") from None

    def _run_of(self, source: str, model_id: str) -> str:
        return str(self._logged(source, model_id).source_run_id) if model_id else ""

    def _logged(self, source: str, model_id: str) -> Any:
        try:
            return self._tracking.logged_model(model_id)
        except NotFound:
            raise not_of(source, "model_id") from None

    def _all_files(self, owner: str, folder: str = "") -> dict[str, str]:
        """All files of an owner below a folder, named from there."""
        start = len(folder) + 1 if folder else 0
        return {one.name[start:]: one.digest for one in self._tracking.files(owner, folder)}

    def _held_out(self, origin: Origin) -> str | None:
        """The digest of the held-out rows, if they came along."""
        for name in HELD_OUT:
            if name in origin.files:
                return origin.files[name]
        for name in HELD_OUT if origin.run_id else ():
            try:
                return self._tracking.file(origin.run_id, name).digest
            except LooplineError:  # there is none, or the run is one of another server
                continue
        return None

    def _metrics(self, origin: Origin) -> dict[str, float]:
        """The numbers measured of the model, else of the run."""
        found: dict[str, float | str] = {}
        try:
            if origin.model_id:
                found = {one.key: one.value for one in self._tracking.logged_model(origin.model_id).metrics}
            if not found and origin.run_id:
                found = dict(self._tracking.get(origin.run_id).metrics)
        except LooplineError:  # it may come from a run of another server
            return {}
        numbers = {key: value for key, value in found.items() if isinstance(value, float) and math.isfinite(value)}
        return dict(sorted(numbers.items())[:MOST_METRICS])

    def _tell_model(self, tx: Transaction, made: Version) -> None:
        """Note the version at its logged model, as MLflow's clients and pages look for it."""
        try:
            known = msgspec.json.decode(self._tracking.model_tags_in(tx, made.model_id).get(MODEL_VERSIONS, "[]"))
        except msgspec.DecodeError:
            known = []
        except NotFound:  # a copy of a version whose logged model is gone
            return
        mine = {"name": made.model, "version": str(made.version)}  # clients write the same themselves, as text
        told = [*(one for one in (known if isinstance(known, list) else []) if one != mine), mine]
        text = msgspec.json.encode(told[-MOST_TOLD_VERSIONS:]).decode()
        self._tracking.tag_model_in(tx, made.model_id, {MODEL_VERSIONS: text})

    def _head(self, digest: str, most: int) -> bytes:
        with self._blobs.open(digest) as stream:
            return stream.read(most)


def prompt_origin(source: str) -> Origin:
    """A prompt lies in its tags; its source is a placeholder."""
    if source not in PROMPT_SOURCES:
        raise Invalid(f"Invalid prompt source: {source[:200]!r}.", "Prompt sources must use an MLflow placeholder.")
    return Origin({}, source, "", "")


def decoded(text: str) -> str:
    """A text with all its percent signs read, however often they were written."""
    before = ""
    while text != before:
        before, text = text, unquote(text)
    return text


def urlsplit_of(source: str) -> Any:
    """The parts of an address, or Invalid."""
    try:
        return urlsplit(source)
    except ValueError:
        raise wrong_source(source) from None


def wrong_source(source: str, hint: str = "Give the address of a run's or a logged model's files.") -> Invalid:
    """What a source that cannot be used is answered with."""
    shown = source[:300].encode("unicode_escape").decode()
    return Invalid(f"Invalid model version source: '{shown}'.", hint)


def not_of(source: str, what: str) -> Invalid:
    """What a source that belongs to something else is answered with."""
    return wrong_source(source, f"The {what} request parameter must identify the resource that contains the source.")

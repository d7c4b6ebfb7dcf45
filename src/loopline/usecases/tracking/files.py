"""Artifacts: the files of runs, logged models and whatever else keeps files here."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from loopline.core.errors import Invalid, NotFound, Refused, Unavailable
from loopline.kit.digests import file_digest
from loopline.ports.database import Transaction
from loopline.usecases.tracking import file_rows, logged_model_rows, store
from loopline.usecases.tracking.base import Base
from loopline.usecases.tracking.file_rows import Entry
from loopline.usecases.tracking.model import Artifact

DELETED = "artifact.deleted"
ELSEWHERE = "/"
LONGEST_NAME = 1000
PIECE = 1 << 18
_OWNED = re.compile(
    r"(?:.*?/)??(?:models/(m-[0-9a-f]{32})|([0-9a-f]{32})|registered/([0-9a-f]{64}))/artifacts(?:/(.*))?\Z", re.S
)
_FROZEN = "version "
_RUN = re.compile(r"[0-9a-f]{32}\Z")
_MODEL = re.compile(r"m-[0-9a-f]{32}\Z")
_PROXY = "/mlflow-artifacts/artifacts/"
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?charset=[\w.-]+)?\Z", re.ASCII)


class Place(NamedTuple):
    """Where a path leads: the owner of the files and the name among them ("" for all)."""

    owner: str
    name: str


class Files(Base):
    """Files by owner and name; the bytes are kept once by their digest. An owner is a run's id, a logged model's id,
    `version <digest>` for the files of a registered version (which never change), `e/<number>` for what lies beside the
    runs of an experiment, or "/" for any other path."""

    def put_file(self, owner: str, name: str, source: Path, media_type: str = "") -> Artifact:
        """Keep the file at `source`, which is moved away; the same name again replaces it. It survives a power cut
        once this answers. Invalid for a bad name, Refused for files that never change."""
        name = checked_path(name)
        changeable(owner)
        size = source.stat().st_size
        digest = file_digest(source)
        self._blobs.adopt(digest, source)
        self._blobs.settle()
        if not self._blobs.has(digest):
            raise Unavailable(f"The file {name!r} could not be kept.", "Look at the disk, then send it again.")
        return self._noted(owner, name, digest, size, media_type)

    def put_bytes(self, owner: str, name: str, content: bytes, media_type: str = "") -> Artifact:
        """`put_file` for bytes in memory."""
        name = checked_path(name)
        changeable(owner)
        return self._noted(owner, name, self._blobs.put(content), len(content), media_type)

    def put_kept(self, owner: str, name: str, digest: str, media_type: str = "") -> Artifact:
        """Name bytes that are kept already; NotFound when they are not."""
        changeable(owner)
        return self._noted(owner, checked_path(name), digest, self._blobs.size(digest), media_type)

    def share_in(self, tx: Transaction, digest: str, files: Mapping[str, str]) -> None:
        """Have the files of a registered version, {name: digest}, readable under its own digest for ever."""
        at = self._clock.text()
        shared = [artifact(name, one, self._blobs.size(one), "", at) for name, one in files.items()]
        file_rows.put(tx, _FROZEN + digest, shared)

    def unshare_in(self, tx: Transaction, digest: str) -> None:
        """The files of a registered version are no longer read."""
        file_rows.forget(tx, _FROZEN + digest, "")

    def files(self, owner: str, folder: str = "") -> list[Artifact]:
        """All files of an owner in a folder and below it, by name; none for an unknown owner."""
        folder = checked_folder(folder)
        return self._database.read(lambda tx: file_rows.below(tx, owner, folder))

    def listed(self, owner: str, folder: str = "") -> list[Entry]:
        """What lies directly in a folder, by name; nothing for what is no folder."""
        folder = checked_folder(folder)
        return self._database.read(lambda tx: list(file_rows.inside(tx, owner, folder)))

    def file(self, owner: str, name: str) -> Artifact:
        """One file by its name; NotFound."""
        name = checked_path(name)
        found = self._database.read(lambda tx: file_rows.one(tx, owner, name))
        if found is None:
            raise NotFound(f"There is no file {name[:200]!r} here.", "List the folder to see what there is.")
        return found

    def pieces(self, found: Artifact) -> Iterator[bytes]:
        """A file's bytes in pieces of 256 KiB. NotFound at once when they are lost or damaged."""
        path = self._blobs.path(found.digest)

        def read() -> Iterator[bytes]:
            with open(path, "rb") as stream:
                while piece := stream.read(PIECE):
                    yield piece

        return read()

    def content(self, digest: str, most: int) -> bytes:
        """The bytes of a small file; Invalid for one of more than `most` bytes."""
        if self._blobs.size(digest) > most:
            raise Invalid(f"The file holds more than {most} bytes.", "Keep it smaller.")
        return self._blobs.get(digest)

    def delete_files(self, owner: str, name: str, actor: str) -> int:
        """Drop a file, or all below a folder; answers how many. Bytes that nothing else needs go at the next clearing
        up. Refused for files that never change."""
        name = checked_path(name)
        changeable(owner)

        def work(tx: Transaction) -> int:
            count, size = file_rows.forget(tx, owner, name)
            if count:
                body = {"name": name, "files": count, "bytes": size}
                self._ledger.append(tx, DELETED, owner, actor, body)
            return count

        return self._database.write(work)

    def owner(self, name: str) -> str:
        """Whose files a person means: a logged model by its id, else a run by its id or the beginning of it."""
        return name if _MODEL.match(name) else self.resolved(name)

    def root_of(self, run_id: str) -> str:
        """The address under which MLflow's clients find a run's files; NotFound for an unknown run."""
        found = self._database.read(lambda tx: store.bare(tx, run_id))
        if found is None:
            raise NotFound(f"Run with id={run_id[:100]} not found.", "`loopline runs` lists them.")
        return found["artifact_root"] or default_root(found["experiment_id"], run_id)

    def address(self, uri: str) -> Place | None:
        """Whose files an address means (mlflow-artifacts:, the proxy's own, runs:/ID/…); None for one elsewhere.
        Invalid for a path that leads out."""
        parts = urlsplit(uri)
        scheme, path = parts.scheme.lower(), parts.path
        if scheme == "mlflow-artifacts":
            return place(path.lstrip("/"))
        if scheme in ("http", "https") and _PROXY in path:
            return place(path.partition(_PROXY)[2].lstrip("/"))
        if scheme == "runs" and not parts.netloc:
            run_id, _, name = path.lstrip("/").partition("/")
            return Place(run_id, checked_folder(name))
        return None

    def put_artifact(self, run_id: str, name: str, content: bytes, media_type: str = "") -> Artifact:
        """Keep bytes with a run under a name like a relative path; the same name again replaces it."""
        return self.put_bytes(self.resolved(run_id), name, content, media_type)

    def artifacts(self, run_id: str) -> list[Artifact]:
        """What is kept with a run, by name."""
        return self.files(self.resolved(run_id))

    def artifact(self, run_id: str, name: str) -> tuple[Artifact, bytes]:
        """One artifact with its bytes; NotFound when there is none."""
        found = self._database.read(lambda tx: file_rows.one(tx, self._resolved(tx, run_id), name))
        if found is None:
            raise NotFound(f"The run {run_id} has no artifact {name!r}.", "`loopline runs RUN` lists its artifacts.")
        return found, self._blobs.get(found.digest)

    def _noted(self, owner: str, name: str, digest: str, size: int, media_type: str) -> Artifact:
        made = artifact(name, digest, size, media_type, self._clock.text())

        def work(tx: Transaction) -> None:
            check_owner(tx, owner)
            other = file_rows.in_the_way(tx, owner, name)
            if other is not None:
                raise Invalid(f"{name[:200]!r} cannot be kept beside {other[:200]!r}.", "One is a folder of the other.")
            file_rows.put(tx, owner, [made])

        self._database.write(work)
        return made


def check_owner(tx: Transaction, owner: str) -> None:
    """NotFound for a run or logged model that is not there (any more): its files would belong to nothing that can be
    removed."""
    if _RUN.match(owner) and not store.number_of(tx, owner):
        raise NotFound(f"Run with id={owner} not found.", "Start the run first; `loopline runs` lists them.")
    if _MODEL.match(owner) and logged_model_rows.bare(tx, owner) is None:
        raise NotFound(f"Logged model with id={owner} not found.", "Create the logged model first.")


def default_root(experiment_id: int, run_id: str) -> str:
    """The address of a run's files, unless its experiment has a place of its own for them."""
    return f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts"


def artifact(name: str, digest: str, size: int, media_type: str, at: str) -> Artifact:
    """A file's entry; without a good media type, the one that its name suggests."""
    given = media_type if len(media_type) <= 100 and _MEDIA_TYPE.match(media_type) else ""
    guessed = given or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Artifact(name=name, digest=digest, size=size, media_type=guessed, created_at=at)


def place(path: str) -> Place:
    """Whose file a path is, by its form alone: `…/<run>/artifacts/<name>`, `…/models/<model>/artifacts/<name>`,
    `registered/<digest>/artifacts/<name>`; below an experiment's number it is a file beside its runs, and any other path a
    name among the files of "/". Invalid for a bad path."""
    path = checked_folder(path)
    found = _OWNED.match(path)
    if found is None:
        number, _, name = path.partition("/")
        beside = number.isascii() and number.isdecimal() and len(number) < 19
        return Place(f"e/{int(number)}", name) if beside else Place(ELSEWHERE, path)
    model, run, version, name = found.groups()
    return Place(model or run or _FROZEN + version, name or "")


def changeable(owner: str) -> None:
    """Refused for the files of a registered version."""
    if owner.startswith(_FROZEN):
        raise Refused("The files of a registered version never change.", "Register a new version.")


def checked_path(name: object) -> str:
    """A file's name as it is kept: relative, with single slashes. Invalid for one that leaves its folder in any
    reading (also percent-encoded, also on Windows), is absolute or empty, or holds control characters."""
    found = checked_folder(name)
    if not found:
        raise bad(name)
    return found


def checked_folder(name: object) -> str:
    """`checked_path`, where nothing stands for the root."""
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise bad(name)
    kept = "/".join(part for part in name.split("/") if part not in ("", "."))
    read, before = name, ""
    while read != before:
        if not stays_inside(read):
            raise bad(name)
        read, before = unquote(read), read
    return kept


def stays_inside(path: str) -> bool:
    """Whether a path is relative, never climbs, and can be written down."""
    windows = PureWindowsPath(path)
    climbs = ".." in PurePosixPath(path).parts or ".." in windows.parts
    rooted = path.startswith(("/", "\\")) or bool(windows.drive and len(windows.drive) == 2 and windows.root)
    return (
        not climbs
        and not rooted
        and not any(ord(one) < 32 or ord(one) == 127 or 0xD800 <= ord(one) < 0xE000 for one in path)
    )


def bad(name: object) -> Invalid:
    """What a name that leads out of its folder is answered with."""
    shown = repr(name)[:120].encode("utf-8", "backslashreplace").decode()
    return Invalid(f"Invalid path: {shown} cannot be the name of a file here.", "Use a relative path without '..'.")

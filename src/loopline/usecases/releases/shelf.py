"""Where releases lie: rows, manifests, and what was found out about contents; each read back with its proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from loopline.core.errors import CheckFailed, Invalid, NotFound
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.usecases.releases import store
from loopline.usecases.releases.model import (
    LOCK_FILE,
    PROMOTED,
    PUBLISHED,
    ROLLED_BACK,
    SCHEMA,
    Manifest,
    Outcomes,
    Problem,
    Release,
    SealedFile,
    canonical,
    parsed_reference,
    sha256,
    signed_text,
)
from loopline.usecases.releases.needs import Ledger, Signer


class Shelf:
    """Releases as rows and blobs. What was changed behind the back of the installation is told, never used."""

    def __init__(self, database: Database, ledger: Ledger, blobs: Blobs, clock: Clock, signer: Signer) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._signer = signer

    def put(self, manifest: Manifest, content: str, actor: str) -> tuple[Release, bool]:
        """Sign a manifest and write it down; whether that was new. The same content is the same release."""
        text = canonical(manifest)
        digest = sha256(text)
        known = self._database.read(lambda tx: store.release(tx, digest))
        if known is not None:
            self._refuse_foreign(known)
            return self.release(known), False
        row: dict[str, Any] = {"digest": digest, "project": manifest.project, "pipeline": manifest.pipeline}
        row |= {"manifest": self._blobs.put(text), "signature": self._signer.sign(signed_text(digest))}
        row |= {"public_key": self._signer.public_key(), "content": content, "created_by": actor}
        written = self._database.write(lambda tx: self._written(tx, row))
        return self.release(written), True

    def _refuse_foreign(self, row: Row) -> None:
        if not self._signer.verify(signed_text(row["digest"]), row["signature"]):
            raise CheckFailed(
                f"{row['digest'][:12]} was sealed before, and its signature is not this installation's.",
                "Bring back keys/ledger.key, or seal in another installation.",
            )

    def _written(self, tx: Transaction, row: dict[str, Any]) -> Row:
        known = store.release(tx, row["digest"])
        if known is not None:  # another process sealed the same meanwhile
            return known
        body = {name: row[name] for name in ("project", "pipeline", "content", "signature")}
        fact = self._ledger.append(
            tx, PUBLISHED, subject(row["digest"]), row["created_by"], {"release": row["digest"], **body}
        )
        store.add_release(tx, {**row, "seq": fact.seq, "created_at": fact.at})
        return {**row, "seq": fact.seq, "created_at": fact.at}

    def row(self, ref: str) -> Row:
        """The row that a reference means. NotFound for none, Invalid when it could mean several."""
        start, project, pipeline, environment = parsed_reference(ref)
        if not start:
            start = self._standing(project, pipeline, environment) if environment else self._newest(project, pipeline)
        found = self._database.read(lambda tx: store.beginning_with(tx, start))
        if not found and start == ref and self._database.read(lambda tx: store.newest(tx, "", ref)):
            return self.row(self._newest("", ref))  # a pipeline whose name could be digits, as "decade"
        if not found:
            raise NotFound(f"There is no release {start}.", "`loopline release list` lists them.")
        if len(found) > 1:
            raise Invalid(f"Several releases begin with {start}.", "Write more digits.")
        return found[0]

    def _newest(self, project: str, pipeline: str) -> str:
        """The release of a pipeline that was sealed last; Invalid when several projects have one of that name."""
        found = self._database.read(lambda tx: store.newest(tx, project, pipeline))
        if not found:
            raise NotFound(
                f"There is no release of {pipeline!r}.",
                f"Make one: `loopline release {pipeline}`. A digest is written with six digits or more.",
            )
        projects = sorted({row["project"] for row in found})
        if len(projects) > 1:
            raise Invalid(f"{pipeline!r} is a pipeline of {', '.join(projects)}.", f"Write {projects[0]}/{pipeline}.")
        return str(found[0]["digest"])

    def _standing(self, project: str, pipeline: str, environment: str) -> str:
        if not project:
            project = self.project_of(pipeline, environment)
        found = self.standing(project, pipeline, environment)
        if found is None:
            raise nothing_stands(pipeline, environment)
        return found

    def standing(self, project: str, pipeline: str, environment: str, at: str = "") -> str | None:
        """The digest that stands in an environment, or stood there at a time; None when nothing does. CheckFailed when
        the ledger knows nothing of its coming there."""
        row = self._database.read(lambda tx: store.newest_move(tx, project, pipeline, environment, at))
        if row is None:
            return None
        moved = {"project": project, "pipeline": pipeline, "environment": environment}
        facts = self._ledger.about(subject(row["release"]), (PROMOTED, ROLLED_BACK))
        if not any(fact.seq == row["seq"] and moved.items() <= dict(fact.body).items() for fact in facts):
            raise CheckFailed(
                f"The ledger does not say that {row['release'][:12]} came to stand in {environment!r}.",
                f"`loopline audit verify` lists what was changed; `loopline promote RELEASE --env {environment}` asks the gate.",
            )
        return str(row["release"])

    def project_of(self, pipeline: str, environment: str) -> str:
        """The only project whose pipeline of that name stands in an environment. NotFound, or Invalid for several."""
        moves = self._database.read(lambda tx: store.moves(tx, "", pipeline, environment))
        projects = sorted({move.project for move in moves})
        if not projects:
            raise nothing_stands(pipeline, environment)
        if len(projects) > 1:
            raise Invalid(
                f"{pipeline!r} is a pipeline of {', '.join(projects)}.",
                f"Write {projects[0]}/{pipeline}@{environment}.",
            )
        return projects[0]

    def release(self, row: Row) -> Release:
        """A row with its manifest; CheckFailed when that is not what the digest names."""
        try:
            text = self._blobs.get(row["manifest"])
            manifest = msgspec.json.decode(text, type=Manifest)
        except (NotFound, msgspec.DecodeError, ValueError):
            raise damaged(row["digest"], "its manifest is gone or damaged") from None
        if sha256(text) != row["digest"]:
            raise damaged(row["digest"], "its manifest is another one")
        return Release(
            digest=row["digest"],
            project=row["project"],
            pipeline=row["pipeline"],
            created_at=row["created_at"],
            created_by=row["created_by"],
            manifest=manifest,
            manifest_blob=row["manifest"],
            signature=row["signature"],
            public_key=row["public_key"],
            content=row["content"],
        )

    def bytes_of(self, file: SealedFile) -> bytes:
        """A sealed file's bytes; CheckFailed when they are not those that were sealed."""
        try:
            content = self._blobs.get(file.blob)
        except NotFound:
            content = b""
        if sha256(content) != file.sha256:
            raise CheckFailed("A sealed file is gone or damaged.", "`loopline release verify` names it.")
        return content

    def problems(self, row: Row, release: Release | None = None) -> Iterator[Problem]:
        """Everything that is not as it was sealed; `release` is the row's where that was read already."""
        digest = str(row["digest"])
        if not self._signer.verify(signed_text(digest), row["signature"]):
            yield Problem("signature", "is not this installation's over that digest")
        elif row["public_key"] != self._signer.public_key():
            yield Problem("row", "names another public key than the one that the signature is of")
        yield from self._against_the_ledger(row)
        try:
            release = release or self.release(row)
        except CheckFailed as error:
            yield Problem("manifest", error.message.partition(": ")[2].rstrip("."))
            return
        manifest = release.manifest
        if manifest.schema > SCHEMA:
            yield Problem("manifest", f"has the form {manifest.schema}, which only a newer Loopline knows")
        for name in ("project", "pipeline"):
            if row[name] != getattr(manifest, name):
                yield Problem("row", f"says {name} {row[name]!r}; the manifest says {getattr(manifest, name)!r}")
        for name, file in manifest.files.items():
            try:
                self.bytes_of(file)
            except CheckFailed:
                yield Problem(f"file {name}", "is gone or has other bytes than were sealed")
        lock = manifest.files.get(LOCK_FILE)
        if lock is None or lock.sha256 != manifest.lock.sha256:
            yield Problem("lock", f"is not the sealed {LOCK_FILE}")
        yield from self._about_the_tests(release)

    def _against_the_ledger(self, row: Row) -> Iterator[Problem]:
        facts = self._ledger.about(subject(row["digest"]), (PUBLISHED,))
        if not facts:
            yield Problem("row", "is not in the ledger: nobody published it")
            return
        said = {"created_by": facts[0].actor, "created_at": facts[0].at, **facts[0].body}
        for name in ("created_by", "created_at", "project", "pipeline", "content", "signature"):
            if row[name] != said[name]:
                yield Problem("row", f"says {name} {row[name]!r}; the ledger says {said[name]!r}")

    def _about_the_tests(self, release: Release) -> Iterator[Problem]:
        kept = self.outcomes(release.content)
        if kept is None:
            yield Problem("tests", "their report is gone or was changed")
        elif kept.summary() != release.manifest.tests:
            yield Problem("tests", "their report is not the one that was sealed")

    def outcomes(self, content: str) -> Outcomes | None:
        """The kept report of the tests of a content."""
        found = self.remembered(content, "tests")
        return None if found is None else msgspec.json.decode(found, type=Outcomes)

    def remembered(self, content: str, what: str) -> bytes | None:
        """What was found out about a content; None when that is not known, or was written by somebody else."""
        row = self._database.read(lambda tx: store.finding(tx, content, what))
        if row is None or not self._signer.verify(finding_text(content, what, row["answer"]), row["signature"]):
            return None
        return str(row["answer"]).encode()

    def remember(self, found: Iterable[tuple[str, str, bytes]]) -> None:
        """Keep (content, what, answer as JSON), signed: a later question is answered by it."""
        rows = []
        for content, what, answer in found:
            text = answer.decode()
            signature = self._signer.sign(finding_text(content, what, text))
            row = {"content": content, "what": what, "answer": text, "signature": signature}
            rows.append({**row, "found_at": self._clock.text()})
        if rows:
            self._database.write(lambda tx: store.put_findings(tx, rows))


def subject(digest: str) -> str:
    """Under which name facts speak of a release."""
    return f"release:{digest}"


def finding_text(content: str, what: str, answer: str) -> bytes:
    return f"loopline finding {content} {what} {answer}".encode()


def damaged(digest: str, what: str) -> CheckFailed:
    return CheckFailed(f"The release {digest[:12]} is damaged: {what}.", "Seal it again from its project.")


def nothing_stands(pipeline: str, environment: str) -> NotFound:
    return NotFound(
        f"No release of {pipeline!r} stands in {environment!r}.",
        f"Put one there: `loopline promote {pipeline} --env {environment}`.",
    )

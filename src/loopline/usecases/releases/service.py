"""The verbs of releases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loopline.core.errors import CheckFailed, Conflict, Invalid, NotFound, Refused
from loopline.core.facts import Fact
from loopline.core.ids import checked_name, new_id
from loopline.ports.blobs import Blobs
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.usecases.releases import comparing, environments, folders, gating, locking, model, sealing, store
from loopline.usecases.releases.finding import Finder, retested
from loopline.usecases.releases.gating import Gatekeeper
from loopline.usecases.releases.locking import Lock
from loopline.usecases.releases.model import (
    Approval,
    Differences,
    Gate,
    Listed,
    Manifest,
    Move,
    Outcomes,
    Promoted,
    Release,
    Verified,
)
from loopline.usecases.releases.needs import Datasets, Ledger, Pipelines, Projects, Signer
from loopline.usecases.releases.shelf import Shelf, subject

MOST = 10_000


class Releases:
    """Pipelines sealed as releases; what stands in an environment is moved by a gate, and back."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        blobs: Blobs,
        clock: Clock,
        home: Path,
        signer: Signer,
        projects: Projects,
        datasets: Datasets,
        pipelines: Pipelines,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._home = home
        self._projects = projects
        self._datasets = datasets
        self._pipelines = pipelines
        self._shelf = Shelf(database, ledger, blobs, clock, signer)
        self._finder = Finder(self._shelf, projects, pipelines, blobs, clock, home / "work")
        self._gatekeeper = Gatekeeper(self._shelf, datasets)

    def lock(self, folder: str | Path, *, upgrade: bool = False) -> tuple[Lock, bool]:
        """Write the project's requirements.lock; answers it and whether it changed. See `resolving.resolved`."""
        from loopline.kit.durable import write_file
        from loopline.usecases.releases.resolving import resolved

        path = Path(folder).absolute() / model.LOCK_FILE
        declared = locking.declared_in(path.parent)
        before = path.read_bytes() if path.is_file() else None
        try:
            standing = locking.parsed(before) if before is not None else None
        except Invalid:  # a lock of another tool, or one that was damaged: made anew
            standing = None
        text = locking.written(declared, resolved(declared, standing, upgrade))
        if text != before:
            write_file(path, text)
        return locking.parsed(text), text != before

    def check_lock(self, folder: str | Path) -> Lock:
        """The project's lock, when it is there and up to date; NotFound or CheckFailed otherwise. Asks no network."""
        path = Path(folder).absolute() / model.LOCK_FILE
        content = path.read_bytes() if path.is_file() else None
        return locking.checked(content, locking.declared_in(path.parent))

    def seal(
        self,
        folder: str | Path,
        pipeline: str,
        *,
        actor: str,
        progress: Callable[[str], None] | None = None,
        params: Mapping[str, Any] | None = None,
        tests_again: bool = False,
    ) -> Release:
        """Seal a pipeline of a project's folder; sealing the same content again answers the same release.

        `params` are for parameters without a default: the graph is traced with them. Raises NotFound without a lock,
        CheckFailed for a stale one, for tests that are missing or fail, and for code that the lock or the project's
        folder does not hold.
        """
        tell = progress or silent
        place = Path(folder).absolute()
        draft = sealing.drafted(place, pipeline, *self._projects.sources(place))
        python = self._python(draft.lock, actor, tell)
        whole, graph, contracts, outcomes = self._finder.found(draft, python, params or {}, tests_again, tell)
        manifest = sealing.manifest_of(whole, graph, contracts, outcomes)
        return self._shelf.put(manifest, whole.content, actor)[0]

    def get(self, ref: str) -> Release:
        """The release that a reference means: six or more digits of its digest, PIPELINE@ENVIRONMENT, or
        PROJECT/PIPELINE@ENVIRONMENT. NotFound for none, CheckFailed when its manifest was changed."""
        return self._shelf.release(self._shelf.row(ref))

    def releases(self, project: str = "", pipeline: str = "", limit: int = 200) -> list[Listed]:
        """The newest releases, newest first."""
        if not 1 <= limit <= MOST:
            raise Invalid(f"{str(limit)[:40]} releases cannot be listed.", f"Ask for 1 to {MOST}.")
        return self._database.read(lambda tx: store.listed(tx, project, pipeline, limit))

    def diff(self, a: str, b: str) -> Differences:
        """What differs between two releases, down to the function."""
        one, other = self.get(a), self.get(b)
        return Differences(a=one.digest, b=other.digest, changes=comparing.changes(one.manifest, other.manifest))

    def tests(self, ref: str) -> Outcomes:
        """How each test ended that was run for a release, with durations. NotFound when the report is gone."""
        release = self.get(ref)
        found = self._shelf.outcomes(release.content)
        if found is None:
            raise NotFound(f"The report of the tests of {release.digest[:12]} is gone.", "Verify the release.")
        return found

    def verify(self, ref: str, *, run: bool = False, actor: str = "") -> Verified:
        """Compare everything of a release with its signed digest; with `run` its tests are run once more too."""
        row = self._shelf.row(ref)
        problems = tuple(self._shelf.problems(row))
        if problems:
            return Verified(digest=row["digest"], files=0, problems=problems)
        release = self._shelf.release(row)
        tests = self._again(release, actor).summary() if run else None
        return Verified(digest=release.digest, files=len(release.manifest.files), tests=tests)

    def _again(self, release: Release, actor: str) -> Outcomes:
        python = self._python(self._lock_of(release.manifest), actor, silent)
        work = self._home / "work"
        return retested(release.manifest.files, self._shelf.bytes_of, python, work, self._clock.text())

    def run(
        self,
        ref: str,
        *,
        environment: str = "",
        params: Mapping[str, Any] | None = None,
        actor: str,
        progress: Callable[[Any], None] | None = None,
        tags: Mapping[str, str] | None = None,
        executor: str = "processes",
    ) -> Any:
        """Run a release from its sealed files in its own environment; answers the pipeline run.

        Signature and digests are checked first: CheckFailed when anything is not as it was sealed. `environment`
        gives data, parameters and secrets (default: the one in the reference, else the project's default).
        """
        release = self._sound(ref)
        manifest = release.manifest
        if not environment and "@" in ref:
            environment = ref.rpartition("@")[2]
        found = self._projects.environment(release.project, environment)
        python = self._python(self._lock_of(manifest), actor, silent)
        folder = folders.laid_out(manifest.files, self._home / "work" / "releases", self._shelf.bytes_of)
        for dataset in manifest.graph.datasets:
            self._datasets.snapshot(found.datasets.get(dataset, dataset), actor, found.variables or None)
        return self._pipelines.run(
            folder,
            manifest.entry.function,
            {**found.params_of(release.pipeline), **(params or {})},
            actor=actor,
            progress=progress,
            file=manifest.entry.file,
            project=release.project,
            registers=manifest.entry.registers,
            executor=executor,
            tags=tags,
            python=python,
            release=release.digest,
            environment=found.name,
            bindings=dict(found.datasets),
            variables=found.variables,
        )

    def promote(self, ref: str, environment: str, actor: str) -> Promoted:
        """Have a release stand in an environment when the gate lets it; one that stands there already changes nothing.

        The judgement is kept either way. CheckFailed names the checks that did not pass, NotFound an environment that
        the project does not declare.
        """
        row = self._shelf.row(ref)
        release, asked = self._shelf.release(row), self._asked(row["project"], environment)
        if self._standing(release, environment) == release.digest:
            return promoted(release, environment)
        gate = self._judged(row, release, environment, asked, actor)
        passed = gate.verdict == "passed"
        self._database.write(lambda tx: self._decided(tx, release, gate, actor if passed else ""))
        if not passed:
            raise CheckFailed(
                f"{release.digest[:12]} may not stand in {environment}: {'; '.join(gating.reasons(gate.checks))}.",
                way_out(gate, release),
            )
        return promoted(release, environment, gate)

    def approve(self, ref: str, environment: str, actor: str, note: str = "") -> Approval:
        """Say yes to a release in an environment; repeating it changes nothing. Refused for who published it."""
        release = self.get(ref)
        self._asked(release.project, environment)
        if actor == release.created_by and not self._self_approval(release.project):
            raise Refused(
                f"{actor!r} published {release.digest[:12]} and cannot approve it.",
                "Someone else with the approver role must, or set self_approval: true in loopline.yaml.",
            )
        approval = Approval(
            release=release.digest,
            environment=environment,
            note=note,
            given_at=self._clock.text(),
            given_by=actor,
        )
        self._database.write(lambda tx: self._given(tx, approval))
        return approval

    def rollback(self, pipeline: str, environment: str, actor: str, project: str = "", reason: str = "") -> Move:
        """Have the release stand again that stood before; twice goes two steps back. Conflict when there is none,
        CheckFailed when it is not as it was sealed."""
        project = project or self._shelf.project_of(pipeline, environment)
        moves = self.history(project, pipeline, environment)
        target = model.previous(moves)
        if target is None:
            raise Conflict(
                f"{pipeline}@{environment} has no earlier release to go back to.",
                f"Promote one: `loopline promote RELEASE --env {environment}`.",
            )
        release, current = self._sound(target), moves[-1].release

        def work(tx: Transaction) -> Move:
            if store.standing(tx, project, pipeline, environment) != current:
                raise Conflict(f"{pipeline}@{environment} moved meanwhile.", "Look at it, then try again.")
            return self._moved(tx, release, environment, actor, model.ROLLED_BACK, "", reason or "by hand")

        return self._database.write(work)

    def standing(self, project: str, pipeline: str, environment: str, at: str = "") -> Release | None:
        """What stands in an environment, or stood there at a time (ISO 8601); None when nothing does."""
        from loopline.core.times import from_text, to_text

        moment = to_text(from_text(at)) if at else ""
        found = self._database.read(lambda tx: store.standing(tx, project, pipeline, environment, moment))
        return None if found is None else self.get(found)

    def history(self, project: str = "", pipeline: str = "", environment: str = "") -> list[Move]:
        """Every exchange, oldest first."""
        return self._database.read(lambda tx: store.moves(tx, project, pipeline, environment))

    def gates(self, ref: str, limit: int = 50) -> list[Gate]:
        """The newest judgements on a release, newest first."""
        digest = self._shelf.row(ref)["digest"]
        rows = self._database.read(lambda tx: store.gates(tx, digest, max(1, min(limit, 500))))
        return [msgspec.json.decode(row["evidence"], type=Gate) for row in rows]

    def approvals(self, ref: str) -> tuple[Approval, ...]:
        """Who said yes to a release, where."""
        digest = self._shelf.row(ref)["digest"]
        return self._database.read(lambda tx: store.approvals(tx, digest))

    def blobs_in_use(self) -> Iterable[str]:
        """The digests of all blobs that any release refers to: whoever clears up leaves these."""
        rows = self._database.read(store.every)
        for row in rows:
            yield row["manifest"]
            try:
                yield from (file.blob for file in self._shelf.release(row).manifest.files.values())
            except CheckFailed:  # nothing can be said of a damaged one, and nothing of it can be used
                continue

    def replayed(self, facts: Iterable[Fact]) -> dict[str, str]:
        """What must stand after `facts`."""
        return model.replayed(facts)

    def current(self, tx: Transaction) -> dict[str, str]:
        """What stands now, in the same form."""
        return {**store.publishers(tx), **store.places(tx)}

    def _sound(self, ref: str) -> Release:
        row = self._shelf.row(ref)
        for problem in self._shelf.problems(row):
            raise CheckFailed(
                f"The release {row['digest'][:12]} is not as it was sealed: {problem.where} {problem.what}.",
                f"`loopline release verify {row['digest'][:12]}` lists all that is wrong. Nothing of it was run.",
            )
        return self._shelf.release(row)

    def _lock_of(self, manifest: Manifest) -> Lock:
        return locking.parsed(self._shelf.bytes_of(manifest.files[model.LOCK_FILE]))

    def _python(self, lock: Lock, actor: str, tell: Callable[[str], None]) -> str:
        """The interpreter for a lock, built when it is not there yet; "" is this one."""
        took: list[float] = []
        python = environments.python_for(lock, self._home / "environments", took.append)
        if python and not self._database.read(lambda tx: store.has_environment(tx, lock.sha256)):
            seconds = took[0] if took else 0.0  # built by a process that was killed before it could say so
            tell(f"built the environment {lock.sha256[:12]} in {seconds:.1f} s")
            row = {"digest": lock.sha256, "python": lock.python, "lock_blob": self._blobs.put(lock.text)}
            self._database.write(lambda tx: self._built(tx, {**row, "seconds": seconds}, actor, len(lock.pins)))
        return python

    def _built(self, tx: Transaction, row: dict[str, Any], actor: str, count: int) -> None:
        if store.has_environment(tx, row["digest"]):
            return
        body = {"lock": row["digest"], "python": row["python"], "distributions": count, "seconds": row["seconds"]}
        fact = self._ledger.append(tx, model.BUILT, f"environment:{row['digest']}", actor or "loopline", body)
        store.add_environment(tx, {**row, "built_at": fact.at, "built_by": fact.actor})

    def _asked(self, project: str, environment: str) -> Mapping[str, Any]:
        """What an environment asks of a release, as it was applied; NotFound lists those declared."""
        checked_name("environment", environment)
        declared = {str(one["name"]): one for one in self._projects.environments(project)}
        if environment not in declared:
            there = ", ".join(name for name in declared if name)
            raise NotFound(
                f"The project {project!r} has no environment {environment!r}.",
                f"Declared are {there}." if there else "Declare it in loopline.yaml, then `loopline apply`.",
            )
        return declared[environment]

    def _self_approval(self, project: str) -> bool:
        return bool(self._projects.project(project).config.get("self_approval"))

    def _standing(self, release: Release, environment: str) -> str | None:
        return self._database.read(lambda tx: store.standing(tx, release.project, release.pipeline, environment))

    def _judged(self, row: Row, release: Release, environment: str, asked: Mapping[str, Any], actor: str) -> Gate:
        given = self._database.read(lambda tx: store.approvals(tx, release.digest, environment))
        checks = self._gatekeeper.checks(row, release, asked, given, self._self_approval(release.project))
        return Gate(
            id=new_id(),
            release=release.digest,
            environment=environment,
            verdict=gating.verdict(checks),
            checks=checks,
            decided_at=self._clock.text(),
            decided_by=actor,
        )

    def _decided(self, tx: Transaction, release: Release, gate: Gate, actor: str) -> None:
        """Keep a judgement; with an actor the release moves in the same transaction."""
        evidence = model.canonical(gate)
        names = ("id", "release", "environment", "verdict", "decided_at", "decided_by")
        row = {name: getattr(gate, name) for name in names}
        store.add_gate(tx, {**row, "evidence": evidence.decode()})
        if actor:
            self._moved(tx, release, gate.environment, actor, model.PROMOTED, gate.id, f"gate {gate.id[:8]} passed")

    def _moved(
        self, tx: Transaction, release: Release, environment: str, actor: str, kind: str, gate: str, reason: str
    ) -> Move:
        before = store.standing(tx, release.project, release.pipeline, environment) or ""
        body = {"release": release.digest, "project": release.project, "pipeline": release.pipeline}
        body |= {"environment": environment, "from": before, "gate": gate, "reason": reason}
        fact = self._ledger.append(tx, kind, subject(release.digest), actor, body)
        move = Move(
            seq=fact.seq,
            project=release.project,
            pipeline=release.pipeline,
            environment=environment,
            release=release.digest,
            from_release=before,
            gate=gate,
            reason=reason,
            moved_at=fact.at,
            moved_by=actor,
        )
        store.add_move(tx, move)
        return move

    def _given(self, tx: Transaction, approval: Approval) -> None:
        if store.add_approval(tx, approval):
            body = {"release": approval.release, "environment": approval.environment, "note": approval.note}
            self._ledger.append(tx, model.APPROVED, subject(approval.release), approval.given_by, body)


def promoted(release: Release, environment: str, gate: Gate | None = None) -> Promoted:
    return Promoted(
        release=release.digest, project=release.project, pipeline=release.pipeline, environment=environment, gate=gate
    )


def way_out(gate: Gate, release: Release) -> str:
    """What to do about a gate that said no."""
    lacking = next(check.name for check in gate.checks if check.verdict != "passed")
    digest = release.digest[:12]
    return {
        "approvals": f"Someone else runs `loopline approve {digest} --env {gate.environment}`.",
        "contract": "Mend the data and take a snapshot, or seal a release with another contract.",
    }.get(lacking, f"`loopline release show {digest}` shows every check.")


def silent(_: str) -> None:
    """Tell nobody."""

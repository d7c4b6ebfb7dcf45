"""What stands in which environment: moved by a gate, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from loopline.core.errors import CheckFailed, Conflict, NotFound, Refused
from loopline.core.facts import Fact
from loopline.core.ids import checked_name, new_id
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Row, Transaction
from loopline.usecases.releases import gating, model, store
from loopline.usecases.releases.gating import Gatekeeper
from loopline.usecases.releases.model import Approval, Gate, Move, Promoted, Release
from loopline.usecases.releases.needs import Automation, Datasets, Ledger, Projects
from loopline.usecases.releases.shelf import Shelf, subject


class Places:
    """The names that move: a pipeline's release in an environment, with its history."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        projects: Projects,
        datasets: Datasets,
        shelf: Shelf,
        automation: Automation | None = None,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._projects = projects
        self._shelf = shelf
        self._automation = automation
        self._gatekeeper = Gatekeeper(shelf, datasets)

    def get(self, ref: str) -> Release:
        """The release that a reference means: six or more digits of its digest, PIPELINE@ENVIRONMENT, or
        PROJECT/PIPELINE@ENVIRONMENT. NotFound for none, CheckFailed when its manifest was changed."""
        return self._shelf.release(self._shelf.row(ref))

    def promote(self, ref: str, environment: str, actor: str) -> Promoted:
        """Have a release stand in an environment when the gate lets it; one that stands there already changes nothing.

        The judgement is kept either way. CheckFailed names the checks that did not pass, NotFound an environment that
        the project does not declare. Refused while an alert holds the releases of the model that the pipeline makes.
        """
        row = self._shelf.row(ref)
        release, asked = self._shelf.release(row), self._asked(row["project"], environment)
        with suppress(CheckFailed):  # what came there past the gate goes through it now
            if self._standing(release, environment) == release.digest:
                return promoted(release, environment)
        self._not_held(release)
        gate = self._judged(row, release, environment, asked, actor)
        passed = gate.verdict == "passed"
        self._database.write(lambda tx: self._decided(tx, release, gate, actor if passed else ""))
        if not passed:
            raise CheckFailed(
                f"{release.digest[:12]} may not stand in {environment}: {'; '.join(gating.reasons(gate.checks))}.",
                way_out(gate, release),
            )
        return promoted(release, environment, gate)

    def _not_held(self, release: Release) -> None:
        entry = self._projects.project(release.project).config.get("pipelines", {}).get(release.pipeline) or {}
        model = entry.get("registers")
        reason = self._automation.held(model) if model and self._automation is not None else ""
        if reason:
            raise Refused(
                f"Releases of {model} are held ({reason}).",
                f"Resolve the alert, or let an admin run `loopline policies --lift {model}`.",
            )

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
        """What stands in an environment, or stood there at a time (ISO 8601); None when nothing does. CheckFailed
        when it came there past the ledger."""
        from loopline.core.times import from_text, to_text

        moment = to_text(from_text(at)) if at else ""
        found = self._shelf.standing(project, pipeline, environment, moment)
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

    def replayed(self, facts: Iterable[Fact]) -> dict[str, str]:
        """What must stand after `facts`."""
        return model.replayed(facts)

    def current(self, tx: Transaction) -> dict[str, str]:
        """What stands now, in the same form."""
        return {**store.publishers(tx), **store.places(tx), **store.all_approvals(tx)}

    def _sound(self, ref: str) -> Release:
        row = self._shelf.row(ref)
        for problem in self._shelf.problems(row):
            raise CheckFailed(
                f"The release {row['digest'][:12]} is not as it was sealed: {problem.where} {problem.what}.",
                f"`loopline release verify {row['digest'][:12]}` lists all that is wrong. Nothing of it was run.",
            )
        return self._shelf.release(row)

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
        return self._shelf.standing(release.project, release.pipeline, environment)

    def _judged(self, row: Row, release: Release, environment: str, asked: Mapping[str, Any], actor: str) -> Gate:
        given = self._approved(release.digest, environment)
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

    def _approved(self, digest: str, environment: str) -> list[str]:
        """Who said yes, by the ledger: a row that was written by hand counts for nothing."""
        facts = self._ledger.about(subject(digest), (model.APPROVED,))
        return [fact.actor for fact in facts if fact.body["environment"] == environment]

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

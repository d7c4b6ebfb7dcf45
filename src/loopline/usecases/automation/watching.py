"""From new facts to firings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.facts import Fact
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation import model, rules, store
from loopline.usecases.automation.declared import policies_in
from loopline.usecases.automation.holds import Holds
from loopline.usecases.automation.model import Firing, Policy
from loopline.usecases.automation.needs import Ledger, Projects
from loopline.usecases.automation.recording import Cause, Records
from loopline.usecases.automation.timing import RESOLVED, Repeats, Timetable

CURSOR = "facts"
MOST_FACTS = 500
LONGEST_CHAIN = 20
log = logging.getLogger(__name__)


class Ticked(msgspec.Struct, frozen=True):
    """What a look at the ledger found: how many policies fired, whether an alias moved or a project was applied, versions
    (model, version) that got an approval, and whether there is more to read."""

    fired: int = 0
    moved: bool = False
    applied: bool = False
    approved: tuple[tuple[str, int], ...] = ()
    more: bool = False


class Watch:
    """Reads the ledger after its cursor and the clock, and writes firings. Two of them may run: each cause fires once."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger, projects: Projects) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._projects = projects
        self._records = Records(clock, ledger)
        self._timetable = Timetable(database, clock, self._records)
        self._repeats = Repeats(database, clock, ledger, self._records)
        self._holds = Holds(database, clock, ledger)
        self._policies: list[Policy] | None = None
        self._cursor: int | None = None

    def tick(self) -> Ticked:
        """Take notice of new facts and due schedules. Costs one short query when nothing is new."""
        if self._cursor is None:
            found = self._database.read(lambda tx: store.cursor(tx, CURSOR))
            self._cursor = found["seq"] if found else 0
        facts = self._ledger.since(self._cursor, MOST_FACTS)
        fired = self._read(facts) if facts else 0
        fired += self._timetable.look([policy for policy in self.policies() if policy.on == model.SCHEDULE])
        fired += self._repeats.look(self.policies(), self._answers)
        approved = [fact.body for fact in facts if fact.kind == "approval.given"]
        return Ticked(
            fired=fired,
            moved=any(fact.kind == "alias.moved" for fact in facts),
            applied=any(fact.kind == "project.applied" for fact in facts),
            approved=tuple((body["model"], body["version"]) for body in approved if "version" in body),
            more=len(facts) == MOST_FACTS,
        )

    def policies(self) -> list[Policy]:
        """The policies of all applied projects; one that is written wrongly is logged and left out."""
        if self._policies is None:
            self._policies = []
            for project in self._projects.projects():
                try:
                    self._policies += policies_in(project.name, project.config, project.code_digest)
                except Invalid as error:
                    log.warning("%s", error)
        return self._policies

    def forget(self) -> None:
        """Read policies and cursor anew at the next tick."""
        self._policies, self._cursor = None, None
        self._timetable.forget()
        self._repeats.forget()

    def fire(self, tx: Transaction, policy: Policy, cause: Cause) -> Firing | None:
        """Write a firing for a cause that is no fact; None when it was dealt with before."""
        return self._records.fire(tx, policy, cause)

    def next_due(self, policy: Policy) -> datetime:
        """When a schedule fires next, counted from when it last came or was first seen."""
        return self._timetable.next_at(policy)

    def _read(self, facts: Sequence[Fact]) -> int:
        if any(fact.kind == "project.applied" for fact in facts):
            self._policies = None
            self._timetable.forget()
            self._repeats.forget()
        self._repeats.note(facts)
        matched = [(fact, policy) for fact in facts for policy in self.policies() if self._matches(policy, fact)]
        steps: list[Callable[[Transaction], bool]] = [
            self._birth(fact) for fact in facts if fact.kind == "project.applied"
        ]
        steps += [self._lifting(fact) for fact in facts if fact.kind == RESOLVED]
        steps += [self._reaction(fact, policy, self._circle(fact, policy)) for fact, policy in matched]
        last = facts[-1].seq

        def work(tx: Transaction) -> int:
            fired = sum(step(tx) for step in steps)
            store.set_cursor(tx, CURSOR, last, self._clock.text())
            return fired

        fired = self._database.write(work) if steps or last % MOST_FACTS < len(facts) else 0
        self._cursor = last
        return fired

    def _matches(self, policy: Policy, fact: Fact) -> bool:
        return rules.answers(policy, fact.kind) and rules.matches(policy, fact, self._fields(fact, policy))

    def _fields(self, fact: Fact, policy: Policy) -> Mapping[str, Any]:
        """What a policy may ask a fact for: its body; of a finished run also its pipeline and project."""
        if fact.kind != model.RUN_FINISHED or not policy.when.keys() & {"pipeline", "project", "experiment"}:
            return {"actor": fact.actor, "subject": fact.subject, **fact.body}
        started = next(iter(self._ledger.about(fact.subject, ["run.started"])), None)
        experiment = started.body.get("experiment") if started else None
        pipeline = fact.body.get("name") if fact.body.get("kind") == "pipeline" else None
        return {"experiment": experiment, "project": experiment, "pipeline": pipeline, **fact.body}

    def _answers(self, fact: Fact, policy: Policy) -> bool:
        """Whether a fact from before now is one that a policy answers."""
        born = self._database.read(lambda tx: store.cursor(tx, f"policy:{policy.key}"))
        return not (born is not None and born["seq"] > fact.seq) and self._matches(policy, fact)

    def _birth(self, fact: Fact) -> Callable[[Transaction], bool]:
        """A policy answers facts that come after the application that brought it."""
        project = str(fact.body.get("project") or fact.subject.rpartition(":")[2])

        def work(tx: Transaction) -> bool:
            for policy in self.policies():
                name = f"policy:{policy.key}"
                if policy.project == project and store.cursor(tx, name) is None:
                    store.set_cursor(tx, name, fact.seq, fact.at)
            return False

        return work

    def _lifting(self, fact: Fact) -> Callable[[Transaction], bool]:
        """Releases that were held because of an alert are free again once it is resolved."""
        alert = str(fact.body.get("alert") or "")
        return lambda tx: bool(alert and self._holds.over(tx, alert, fact.actor)) and False

    def _reaction(self, fact: Fact, policy: Policy, circle: str) -> Callable[[Transaction], bool]:
        params, wrong = rules.given(policy, fact.body)
        cause = Cause(
            key=rules.dedupe_key(policy, fact),
            text=f"{fact.kind} {fact.subject}",
            by=policy.actor,
            fact=fact,
            event_at=rules.event_time(fact),
            reason=circle or wrong,
        )
        wanted = msgspec.structs.replace(policy, params=params) if policy.params_from else policy

        def work(tx: Transaction) -> bool:
            born = store.cursor(tx, f"policy:{policy.key}")
            if born is not None and born["seq"] > fact.seq:
                return False
            firing = self._records.fire(tx, wanted, cause)
            return firing is not None and firing.state == model.REQUESTED

        return work

    def _circle(self, fact: Fact, policy: Policy) -> str:
        """Why this fact may not set this policy off, when the policy itself led to it through others; or ""."""
        for _ in range(LONGEST_CHAIN):
            if not fact.actor.startswith("policy:"):
                return ""
            name, seq = fact.actor.removeprefix("policy:"), fact.seq
            parent = self._database.read(lambda tx, name=name, seq=seq: store.under_way(tx, name, seq))  # type: ignore[misc]
            if parent is None or parent.because is None:
                return ""
            if (parent.project, parent.policy) == (policy.project, policy.name):
                return "circle: it would set itself off through other policies"
            fact = self._ledger.since(parent.because - 1, 1)[0]
        return "circle: the chain of policies is too long"

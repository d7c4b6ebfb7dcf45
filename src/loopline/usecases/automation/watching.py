"""From new facts and passing time to firings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from loopline.core.errors import Invalid
from loopline.core.facts import Fact
from loopline.core.ids import new_id
from loopline.core.times import from_text, to_text
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation import model, store
from loopline.usecases.automation.model import Firing, Policy
from loopline.usecases.automation.needs import Ledger, Projects

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
        self._policies: list[Policy] | None = None
        self._due: dict[str, datetime] = {}
        self._cursor: int | None = None

    def tick(self) -> Ticked:
        """Take notice of new facts and due schedules. Costs one short query when nothing is new."""
        if self._cursor is None:
            found = self._database.read(lambda tx: store.cursor(tx, CURSOR))
            self._cursor = found["seq"] if found else 0
        facts = self._ledger.since(self._cursor, MOST_FACTS)
        fired = self._read(facts) if facts else 0
        fired += sum(self._schedule(policy) for policy in self.policies() if policy.on == model.SCHEDULE)
        approved = [fact.body for fact in facts if fact.kind == "approval.given"]
        return Ticked(
            fired=fired,
            moved=any(fact.kind == "alias.moved" for fact in facts),
            applied=any(fact.kind == "project.applied" for fact in facts),
            approved=tuple((body["model"], body["version"]) for body in approved),
            more=len(facts) == MOST_FACTS,
        )

    def policies(self) -> list[Policy]:
        """The policies of all applied projects; one that is written wrongly is logged and left out."""
        if self._policies is None:
            self._policies = []
            for project in self._projects.projects():
                try:
                    self._policies += model.policies_in(project.name, project.config, project.code_digest)
                except Invalid as error:
                    log.warning("%s", error)
        return self._policies

    def forget(self) -> None:
        """Read policies and cursor anew at the next tick."""
        self._policies, self._cursor = None, None
        self._due.clear()

    def fire(
        self, tx: Transaction, policy: Policy, key: str, fact: Fact | None, cause: str, by: str, reason: str = ""
    ) -> Firing | None:
        """Write a firing and its fact; None when this cause was dealt with before. With `reason`, or while the policy
        rests, it is written as skipped."""
        if store.known(tx, key):
            return None
        event_at = model.event_time(fact) if fact else None
        now = self._clock.text()
        until = None if by != policy.actor else model.rests(policy, store.last(tx, policy), event_at, now)
        reason = reason or (f"cooldown: it rests until {until}" if until else "")
        kind = model.SKIPPED if reason else model.FIRED
        firing_id = new_id()
        body: dict[str, Any] = {
            "firing": firing_id,
            "project": policy.project,
            "policy": policy.name,
            "cause": cause,
            "reason": reason,
        }
        body |= {"because": fact.seq if fact else None, "event_at": event_at}
        told = self._ledger.append(tx, kind, f"policy:{policy.key}", by, body)
        firing = Firing(
            id=firing_id, seq=told.seq, project=policy.project, policy=policy.name, dedupe_key=key,
            because=fact.seq if fact else None, cause=cause, event_at=event_at, fired_at=now, fired_by=by, rules=policy,
            code=policy.code, state=model.SKIPPED_STATE if reason else model.REQUESTED, reason=reason, owner="",
            attempts=0, started_seq=None, started_at=None, ended_at=now if reason else None, run_id=None, model=None,
            version=None, alias=None, gate_id=None, verdict=None, promoted=False,
        )  # fmt: skip
        store.add(tx, firing)
        return firing

    def next_due(self, policy: Policy) -> datetime:
        """When a schedule comes next, counted from when it last came or was first seen."""
        if policy.key not in self._due:
            name = f"schedule:{policy.key}"
            found = self._database.read(lambda tx: store.cursor(tx, name))
            if found is None:
                self._database.write(lambda tx: store.set_cursor(tx, name, 0, self._clock.text()))
            since = from_text(found["at"]) if found else self._clock.now()
            self._due[policy.key] = model.due(policy, since)
        return self._due[policy.key]

    def _read(self, facts: Sequence[Fact]) -> int:
        if any(fact.kind == "project.applied" for fact in facts):
            self._policies = None
            self._due.clear()
        matched = [(fact, policy) for fact in facts for policy in self.policies() if model.matches(policy, fact)]
        steps: list[Callable[[Transaction], bool]] = [
            self._birth(fact) for fact in facts if fact.kind == "project.applied"
        ]
        steps += [self._reaction(fact, policy, self._circle(fact, policy)) for fact, policy in matched]
        last = facts[-1].seq

        def work(tx: Transaction) -> int:
            fired = sum(step(tx) for step in steps)
            store.set_cursor(tx, CURSOR, last, self._clock.text())
            return fired

        fired = self._database.write(work) if steps or last % MOST_FACTS < len(facts) else 0
        self._cursor = last
        return fired

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

    def _reaction(self, fact: Fact, policy: Policy, circle: str) -> Callable[[Transaction], bool]:
        def work(tx: Transaction) -> bool:
            born = store.cursor(tx, f"policy:{policy.key}")
            if born is not None and born["seq"] > fact.seq:
                return False
            cause = f"{fact.kind} {fact.subject}"
            firing = self.fire(tx, policy, model.dedupe_key(policy, fact), fact, cause, policy.actor, circle)
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

    def _schedule(self, policy: Policy) -> bool:
        """Fire when due; occasions missed while nobody looked are caught up by one firing."""
        try:
            first = self.next_due(policy)
        except Invalid as error:
            log.warning("%s", error)
            self._policies = [one for one in self.policies() if one.key != policy.key]
            return False
        now = self._clock.now()
        if now < first:
            return False
        latest, missed = first, 0
        while (following := model.due(policy, latest)) <= now:
            latest, missed = following, missed + 1
        cause = f"schedule {policy.when.get('cron')} at {to_text(latest)}" + (f", {missed} missed" if missed else "")

        def work(tx: Transaction) -> bool:
            store.set_cursor(tx, f"schedule:{policy.key}", 0, to_text(latest))
            firing = self.fire(tx, policy, f"{policy.key}/schedule:{to_text(latest)}", None, cause, policy.actor)
            return firing is not None and firing.state == model.REQUESTED

        fired = self._database.write(work)
        self._due[policy.key] = following
        return fired

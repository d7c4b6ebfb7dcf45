"""The verbs of automation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid, LooplineError, NotFound
from loopline.core.facts import Fact
from loopline.core.ids import new_id
from loopline.core.times import to_text
from loopline.kit.owners import is_alive, myself
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation import model, store
from loopline.usecases.automation.model import Firing, Policy, Standing, Why
from loopline.usecases.automation.needs import Ledger, Projects, Promotion
from loopline.usecases.automation.watching import Ticked, Watch

MOST_ATTEMPTS = 5


class Automation:
    """Policies and their firings. `tick` only writes down what shall happen; `execution` does it, in a process of its
    own."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger, projects: Projects) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._watch = Watch(database, clock, ledger, projects)

    def tick(self) -> Ticked:
        """Take notice of new facts and due schedules; firings wait for `begin`."""
        return self._watch.tick()

    def policies(self) -> list[Standing]:
        """The policies of all applied projects and how they stand."""
        self._watch.forget()
        return [self._standing(policy) for policy in self._watch.policies()]

    def firings(self, policy: str = "", limit: int = 50) -> list[Firing]:
        """The newest firings, newest first; of the policy of that name when given."""
        return self._database.read(lambda tx: store.newest(tx, policy, max(1, min(limit, 1000))))

    def firing(self, firing_id: str) -> Firing:
        """One firing; NotFound when there is none."""
        found = self._database.read(lambda tx: store.firing(tx, firing_id))
        if found is None:
            raise NotFound(f"There is no firing {firing_id[:40]!r}.", "`loopline policies` lists them.")
        return found

    def fire(self, policy: str, actor: str, project: str = "", params: Mapping[str, Any] | None = None) -> Firing:
        """Set a policy off by hand, whatever it waits for; `params` replace some of its own. Its cooldown is not asked.

        Raises NotFound for an unknown policy, Invalid when several projects have one of that name.
        """
        chosen = self._named(policy, project)
        rules = msgspec.structs.replace(chosen, params={**chosen.params, **(params or {})})
        key, cause = f"{chosen.key}/hand:{new_id()}", f"{actor}, by hand"
        made = self._database.write(lambda tx: self._watch.fire(tx, rules, key, None, cause, actor))
        if made is None:
            raise Conflict(f"The policy {policy!r} could not be set off.", "Try again.")
        return made

    def why(self, firing_id: str) -> Why:
        """Why a policy fired and what it did, from the ledger."""
        firing = self.firing(firing_id)
        because = self._ledger.since(firing.because - 1, 1)[0] if firing.because else None
        did = [fact for fact in self._facts_of(firing) if fact.seq != firing.seq]
        return Why(firing=firing, because=because, did=did, sentences=sentences(firing, because))

    # What the process that executes a firing tells

    def next_requested(self) -> Firing | None:
        """The firing that shall be executed next."""
        return self._database.read(store.next_requested)

    def begin(self, firing_id: str) -> Firing | None:
        """Claim a requested firing for this process; None when another has it or it ended."""
        owner = myself()

        def work(tx: Transaction) -> bool:
            found = store.firing(tx, firing_id)
            seq = self._last_seq(found.seq) if found else 0
            return store.claim(tx, firing_id, owner, self._clock.text(), seq)

        return self.firing(firing_id) if self._database.write(work) else None

    def made(self, firing_id: str, run_id: str | None, name: str | None, version: int | None) -> None:
        """The run of a firing ended and made this version."""
        self._database.write(lambda tx: store.made(tx, firing_id, run_id, name, version))

    def judged(self, firing_id: str, gate_id: str, verdict: str, alias: str) -> None:
        """The gate of a firing's candidate decided."""
        self._database.write(lambda tx: store.judged(tx, firing_id, gate_id, verdict, alias))

    def ended(self, firing_id: str, state: str, reason: str, promoted: bool = False) -> None:
        """A firing is done or failed; telling it again changes nothing."""
        self._database.write(lambda tx: self._ended(tx, firing_id, state, reason, promoted))

    def version_made(self, firing: Firing) -> tuple[str, str, int] | None:
        """(run, model, version) that an earlier attempt at this firing registered before it broke off, or None."""
        for fact in reversed(self._facts_of(firing)):
            if fact.kind == "model.version_registered" and firing.rules.model in ("", fact.body["model"]):
                return fact.body["run_id"], fact.body["model"], fact.body["version"]
        return None

    def requeue_lost(self) -> int:
        """Take up again what belonged to processes that died; answers how many. After several attempts it fails."""
        lost = [firing for firing in self._database.read(store.running) if not is_alive(firing.owner)]
        for firing in lost:
            if firing.attempts >= MOST_ATTEMPTS:
                self.ended(firing.id, model.FAILED_STATE, f"its process ended {firing.attempts} times")
            else:
                self._database.write(lambda tx, firing=firing: store.requeue(tx, firing.id, firing.owner))  # type: ignore[misc]
        return len(lost)

    def approved(self, name: str, version: int, promotion: Promotion) -> bool:
        """Promote a candidate of a policy that waited for the approval it now has; whether the alias moved."""
        firing = self._database.read(lambda tx: store.waiting(tx, name, version))
        if firing is None or not firing.alias or promotion.standing(name, version, firing.alias).missing:
            return False
        try:
            promotion.promote(name, version, firing.alias, firing.rules.actor)
        except LooplineError as error:
            reason = f"approved, but: {error.message}"
            self._database.write(lambda tx: store.told(tx, firing.id, reason))
            return False
        reason = f"{name}:{version} was approved and is {firing.alias}"
        self._database.write(lambda tx: store.promoted(tx, firing.id, reason))
        return True

    def _ended(self, tx: Transaction, firing_id: str, state: str, reason: str, promoted: bool) -> None:
        if not store.end(tx, firing_id, state, reason, promoted, self._clock.text()):
            return
        firing = store.firing(tx, firing_id)
        if firing is not None:
            kind = model.FINISHED if state == model.DONE else model.FAILED
            body = {
                name: getattr(firing, name) for name in ("project", "policy", "run_id", "model", "version", "alias")
            }
            body |= {"firing": firing.id, "verdict": firing.verdict, "promoted": promoted, "reason": reason}
            self._ledger.append(tx, kind, f"policy:{firing.rules.key}", firing.rules.actor, body)

    def _standing(self, policy: Policy) -> Standing:
        last = self._database.read(lambda tx: store.last(tx, policy))
        try:
            next_at = to_text(self._watch.next_due(policy)) if policy.on == model.SCHEDULE else None
        except Invalid:
            next_at = None
        return Standing(
            policy=policy,
            firings=self._database.read(lambda tx: store.count(tx, policy)),
            last=last,
            next_at=next_at,
            rests_until=model.rests(policy, last, last.event_at if last else None, self._clock.text()),
        )

    def _named(self, name: str, project: str) -> Policy:
        self._watch.forget()
        found = [one for one in self._watch.policies() if one.name == name and project in ("", one.project)]
        if not found:
            raise NotFound(f"There is no policy {name!r}.", "`loopline policies` lists them.")
        if len(found) > 1:
            projects = ", ".join(one.project for one in found)
            raise Invalid(f"Several projects have a policy {name!r}: {projects}.", "Name the project too.")
        return found[0]

    def _facts_of(self, firing: Firing) -> list[Fact]:
        """What was written under a firing's name from its start to its end."""
        if firing.started_seq is None:
            return []
        facts, after = [], firing.started_seq
        while page := self._ledger.since(after, 1000):
            facts += [fact for fact in page if fact.actor == firing.rules.actor]
            after = page[-1].seq
            ends = [fact for fact in facts if fact.kind in (model.FINISHED, model.FAILED)]
            if any(fact.body.get("firing") == firing.id for fact in ends):
                break
        return facts

    def _last_seq(self, after: int) -> int:
        while page := self._ledger.since(after, 1000):
            after = page[-1].seq
        return after


def sentences(firing: Firing, because: Fact | None) -> list[str]:
    """The story of a firing for people."""
    told = [f"The policy {firing.policy!r} fired at {firing.fired_at}, set off by {firing.cause}."]
    if because is not None:
        told.append(f"That is fact {because.seq}, written by {because.actor} at {because.at}.")
    if firing.run_id:
        made = f" and made {firing.model}:{firing.version}" if firing.version else ""
        told.append(f"It ran {firing.rules.run!r} as run {firing.run_id}{made}.")
    if firing.verdict:
        told.append(f"The gate {firing.gate_id} for {firing.alias} says {firing.verdict}.")
    ending = {model.REQUESTED: "It waits to be executed", model.RUNNING: "It is being executed"}
    told.append(f"{ending.get(firing.state, firing.state.capitalize())}{': ' if firing.reason else ''}{firing.reason}.")
    return told

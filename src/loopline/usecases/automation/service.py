"""The verbs of automation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid, LooplineError, NotFound
from loopline.core.facts import Fact
from loopline.core.ids import new_id
from loopline.core.times import from_text, to_text
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation import model, rules, store
from loopline.usecases.automation.deliveries import Deliveries
from loopline.usecases.automation.holds import Holds
from loopline.usecases.automation.leases import Leases, Lost
from loopline.usecases.automation.model import Firing, Graph, GraphEdge, GraphNode, Hold, Policy, Standing, Why
from loopline.usecases.automation.needs import Ledger, Projects, Promotion
from loopline.usecases.automation.recording import Cause
from loopline.usecases.automation.telling import clock, said, sentences
from loopline.usecases.automation.watching import Ticked, Watch

MOST_ATTEMPTS = 5
LATE, WAITED = timedelta(minutes=30), timedelta(hours=6)
TOLD = ("project", "policy", "run_id", "model", "version", "alias", "environment", "release")


class Automation:
    """Policies and their firings. `tick` only writes down what shall happen; `execution` does it, in a process of its
    own."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        projects: Projects,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._projects = projects
        self._deliveries = Deliveries(database, clock, ledger, projects)
        self._leases = Leases(database, clock, monotonic)
        self._watch = Watch(database, clock, ledger, projects)
        self._holds = Holds(database, clock, ledger)

    def tick(self) -> Ticked:
        """Take notice of new facts and due schedules; firings wait for `begin`."""
        return self._watch.tick()

    def policies(self) -> list[Standing]:
        """The policies of all applied projects and how they stand."""
        self._watch.forget()
        return [self._standing(policy) for policy in self._watch.policies()]

    def held(self, name: str) -> str:
        """Why releases of a model are held just now, or ""."""
        return self._holds.reason(name)

    def holds(self, everything: bool = False) -> list[Hold]:
        """Models whose releases are held, newest first; with `everything` those of the past too."""
        return self._holds.all(everything)

    def lift(self, name: str, actor: str) -> list[Hold]:
        """Let releases of a model go on; answers what held them. NotFound when nothing did."""
        return self._holds.lift(name, actor)

    def stuck(self) -> list[str]:
        """What stands still, a sentence each: schedules whose time passed without anything being written, and firings that
        wait for hours though there is room for them. Empty as long as somebody works on them."""
        now = self._clock.now()
        found = []
        for policy in self._watch.policies():
            if policy.on != model.SCHEDULE or policy.paused:
                continue
            with contextlib.suppress(Invalid):
                due = self._watch.next_due(policy)
                if now - due > LATE:
                    found.append(f"the schedule {policy.name!r} of {policy.project} should have come at {to_text(due)}")
        taken = self._database.read(store.taken_slots)
        for firing in self._database.read(store.requested):
            room = taken.get(firing.pipeline, 0) < firing.rules.concurrency
            if room and now - from_text(firing.fired_at) > WAITED:
                found.append(f"the firing {firing.id} of {firing.policy!r} waits since {firing.fired_at}")
        return found

    def graph(self) -> Graph:
        """What starts what in all applied projects, with how each policy stands."""
        standing = {f"policy:{one.policy.key}": one for one in self.policies()}
        found = self._projects.starting()
        times = {name.replace("policy:", "schedule:", 1): one.next_at for name, one in standing.items()}
        nodes = [
            GraphNode(node.id, node.kind, node.name, node.project,
                      said(standing[node.id], node.detail) if node.id in standing else
                      ", ".join(filter(None, (node.detail, f"next {clock(times[node.id])}" if times.get(node.id) else ""))))
            for node in found.nodes
        ]  # fmt: skip
        return Graph(nodes, [GraphEdge(edge.source, edge.target, edge.label) for edge in found.edges])

    def firings(self, policy: str = "", limit: int = 50) -> list[Firing]:
        """The newest firings, newest first; of the policy of that name when given. NotFound when there never was one."""
        found = self._database.read(lambda tx: store.newest(tx, policy, max(1, min(limit, 1000))))
        if policy and not found and all(one.name != policy for one in self._watch.policies()):
            raise NotFound(f"There is no policy {policy[:40]!r}.", "`loopline policies` lists them.")
        return found

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
        cause = Cause(key=f"{chosen.key}/hand:{new_id()}", text=f"{actor}, by hand", by=actor, by_hand=True)
        made = self._database.write(lambda tx: self._watch.fire(tx, rules, cause))
        if made is None:
            raise Conflict(f"The policy {policy!r} could not be set off.", "Try again.")
        return made

    def deliver(self, project: str, policy: str, headers: Mapping[str, str], body: bytes) -> Firing | None:
        """Take a webhook's delivery: set its policy off, or answer the firing of the same delivery when it came before;
        None when it is not what the policy's `when` asks for.

        `headers` have names in small letters. Raises Refused for a wrong signature as for a policy that does not exist,
        Invalid for a body that is no JSON object or gives a param that cannot be one.
        """
        return self._deliveries.take(project, policy, headers, body)

    def why(self, firing_id: str) -> Why:
        """Why a policy fired and what it did, from the ledger."""
        firing = self.firing(firing_id)
        because = self._ledger.since(firing.because - 1, 1)[0] if firing.because else None
        did = [fact for fact in self._facts_of(firing) if fact.seq != firing.seq]
        return Why(firing=firing, because=because, did=did, sentences=sentences(firing, because))

    # What the process that executes a firing tells

    def next_requested(self, but: frozenset[str] = frozenset()) -> Firing | None:
        """The firing that shall be executed next: the oldest whose pipeline is not busy, without those in `but`. The
        firings of one policy keep their order."""

        def work(tx: Transaction) -> Firing | None:
            taken: dict[str, int] | None = None
            for firing in store.requested(tx):
                taken = store.taken_slots(tx) if taken is None else taken
                if firing.id not in but and taken.get(firing.pipeline, 0) < firing.rules.concurrency:
                    return firing
            return None

        return self._database.read(work)

    def begin(self, firing_id: str, fence: int = 0) -> Firing | None:
        """Claim a requested firing for this process, or go on with one that was claimed for it under `fence`; None when
        another has it, its pipeline is busy, or it ended."""
        if fence:
            return self._leases.adopt(firing_id, fence)
        found = self._database.read(lambda tx: store.firing(tx, firing_id))
        return None if found is None else self._leases.claim(found, self._last_seq(found.seq))

    def renew(self, firing: Firing) -> bool:
        """Keep the lease of a firing; False when it was taken over or has ended."""
        return self._leases.renew(firing)

    def hold(self, firing: Firing) -> None:
        """Make sure that a firing is still this process's before something is done that others see; Lost otherwise."""
        self._hold(firing, lambda tx: store.beat(tx, firing.id, firing.fence))

    def ran(self, firing: Firing, environment: str, release: str) -> None:
        """A firing runs this release in this environment. This and what follows raises Lost when the firing was taken
        over by another process."""
        self._hold(firing, lambda tx: store.ran(tx, firing, environment, release))

    def made(self, firing: Firing, run_id: str | None, name: str | None, version: int | None) -> None:
        """The run of a firing ended and made this version."""
        self._hold(firing, lambda tx: store.made(tx, firing, run_id, name, version))

    def judged(self, firing: Firing, gate_id: str, verdict: str, alias: str) -> None:
        """The gate of a firing's candidate decided."""
        self._hold(firing, lambda tx: store.judged(tx, firing, gate_id, verdict, alias))

    def ended(self, firing: Firing, state: str, reason: str, promoted: bool = False) -> None:
        """A firing is done or failed."""
        self._hold(firing, lambda tx: self._ended(tx, firing, state, reason, promoted))

    def requeue_lost(self) -> int:
        """Take up again what belonged to processes that are gone; answers how many. After several attempts it fails."""
        return sum(self.give_back(firing) for firing in self._leases.lost())

    def give_back(self, firing: Firing) -> bool:
        """Ask anew for a firing whose process is gone, or let it fail after several attempts; False when another did."""
        if firing.attempts < MOST_ATTEMPTS:
            return self._leases.take_back(firing)
        reason = f"its process ended {firing.attempts} times: see logs/firing-{firing.id}.log"
        return self._database.write(lambda tx: self._ended(tx, firing, model.FAILED_STATE, reason, False))

    def version_made(self, firing: Firing, mine: Callable[[str], bool]) -> tuple[str, str, int] | None:
        """(run, model, version) that an earlier attempt at this firing registered before it broke off, or None. `mine`
        tells whether a run was made for this firing."""
        for fact in reversed(self._facts_of(firing)):
            if fact.kind == "model.version_registered" and firing.rules.model in ("", fact.body["model"]):
                run_id = str(fact.body["run_id"])
                if mine(run_id):
                    return run_id, fact.body["model"], fact.body["version"]
        return None

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

    def _hold(self, firing: Firing, write: Callable[[Transaction], bool]) -> None:
        if not self._database.write(write):
            raise Lost(f"The firing {firing.id} was taken over by another process.", "Nothing is to be done here.")

    def _ended(self, tx: Transaction, firing: Firing, state: str, reason: str, promoted: bool) -> bool:
        if not store.end(tx, firing, state, reason, promoted, self._clock.text()):
            return False
        ended = store.firing(tx, firing.id) or firing
        kind = model.FINISHED if state == model.DONE else model.FAILED
        body = {name: getattr(ended, name) for name in TOLD}
        body |= {"firing": firing.id, "verdict": ended.verdict, "promoted": promoted, "reason": reason}
        self._ledger.append(tx, kind, f"policy:{firing.rules.key}", firing.rules.actor, body)
        return True

    def _standing(self, policy: Policy) -> Standing:
        last = self._database.read(lambda tx: store.last(tx, policy))
        try:
            next_at = to_text(self._watch.next_due(policy)) if policy.on == model.SCHEDULE else None
        except Invalid:
            next_at = None
        active = self._database.read(lambda tx: store.active(tx, policy))
        return Standing(
            policy=policy,
            waiting=active.get(model.REQUESTED, 0),
            running=active.get(model.RUNNING, 0),
            firings=self._database.read(lambda tx: store.count(tx, policy)),
            last=last,
            next_at=next_at,
            rests_until=rules.rests(policy, last, last.event_at if last else None, self._clock.text()),
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

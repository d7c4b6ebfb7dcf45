"""From passing time to firings: schedules, and alerts that stay open. Clocks may jump: an occasion fires once for ever
by its name, and what is due is always counted anew from the cursor or from now, whichever is earlier."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from loopline.core.errors import Invalid
from loopline.core.facts import Fact
from loopline.core.times import from_text, to_text
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation import model, rules, schedules, store
from loopline.usecases.automation.declared import shown
from loopline.usecases.automation.model import Policy
from loopline.usecases.automation.needs import Ledger
from loopline.usecases.automation.recording import Cause, Records

OPENED, RESOLVED = "alert.opened", "alert.resolved"
PAGE = 1000
log = logging.getLogger(__name__)


class Timetable:
    """The schedules of all policies and when each comes next."""

    def __init__(self, database: Database, clock: Clock, records: Records) -> None:
        self._database = database
        self._clock = clock
        self._records = records
        self._next: dict[str, datetime] = {}
        self._looked = clock.now()
        self._wrong: set[str] = set()

    def forget(self) -> None:
        """Count anew at the next look: schedules have changed."""
        self._next.clear()
        self._wrong.clear()

    def look(self, policies: Sequence[Policy]) -> int:
        """Fire what is due; answers how many fired. Costs a comparison for each schedule when nothing is."""
        now = self._clock.now()
        if now < self._looked:  # the clock went back
            self._next.clear()
        self._looked = now
        return sum(self._due(policy, now) for policy in policies if policy.key not in self._wrong)

    def next_at(self, policy: Policy) -> datetime:
        """When a schedule fires next, jitter and all."""
        if policy.key not in self._next:
            first = schedules.due(policy, self._since(policy))
            self._next[policy.key] = first + schedules.spread(policy, first)
        return self._next[policy.key]

    def _since(self, policy: Policy) -> datetime:
        """After which moment the occasions of a schedule count. A cursor ahead of the clock is from before it went back:
        it is set back too, and what fired already is known by its name. A schedule that was changed begins now."""
        name, now = f"schedule:{policy.key}", self._clock.now()
        found = self._database.read(lambda tx: store.cursor(tx, name))
        if found is not None and is_of(found, policy) and from_text(found["at"]) <= now:
            return from_text(found["at"])
        self._database.write(lambda tx: store.set_cursor(tx, name, mark(policy), to_text(now)))
        return now

    def _due(self, policy: Policy, now: datetime) -> int:
        try:
            if now < self.next_at(policy):
                return 0
            name = f"schedule:{policy.key}"

            def work(tx: Transaction) -> tuple[int, datetime]:
                found = store.cursor(tx, name)
                since = min(from_text(found["at"]), now) if found and is_of(found, policy) else now
                attended = schedules.attended(policy, since, now)
                store.set_cursor(tx, name, mark(policy), to_text(attended.last or since))
                return self._fired(tx, policy, attended), attended.next_at

            fired, self._next[policy.key] = self._database.write(work)
        except Invalid as error:
            log.warning("%s", error)
            self._wrong.add(policy.key)
            return 0
        return fired

    def _fired(self, tx: Transaction, policy: Policy, attended: schedules.Attended) -> int:
        if policy.paused:
            return 0
        missed, fired = attended.missed, 0
        if missed is not None:
            cause, reason = schedules.told(policy, missed)
            key = f"{policy.key}/missed:{to_text(missed.first)}/{to_text(missed.last)}"
            self._records.fire(tx, policy, Cause(key=key, text=cause, by=policy.actor, reason=reason))
        for occasion in attended.fire:
            at = to_text(occasion)
            text = f"schedule {policy.when.get('cron')} at {at}"
            if occasion == attended.fire[-1] and missed is not None:
                text += f", {missed.count} missed"
            firing = self._records.fire(
                tx, policy, Cause(key=f"{policy.key}/schedule:{at}", text=text, by=policy.actor)
            )
            fired += firing is not None and firing.state == model.REQUESTED
        return fired


def mark(policy: Policy) -> int:
    """A number that tells one schedule from another."""
    return crc32(f"{policy.when.get('cron')} {policy.when.get('timezone')}".encode()) | 1


def is_of(cursor: Mapping[str, Any], policy: Policy) -> bool:
    """Whether a cursor is that of the schedule as it is now (0: from before schedules were marked)."""
    return cursor["seq"] in (0, mark(policy))


class Repeats:
    """Alerts that are open, for policies that want to hear of them again and again (`repeat`)."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger, records: Records) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._records = records
        self._open: dict[str, Fact] | None = None
        self._not_before: datetime | None = None

    def forget(self) -> None:
        """Look at all open alerts at the next look."""
        self._not_before = None

    def note(self, facts: Sequence[Fact]) -> None:
        """Take notice of alerts that opened or were resolved."""
        if self._open is not None and any(fact.kind in (OPENED, model.GREW, RESOLVED) for fact in facts):
            self._apply(self._open, facts)
            self._not_before = None

    def look(self, policies: Sequence[Policy], reaction: Callable[[Fact, Policy], bool]) -> int:
        """Fire again for alerts that were open for another `repeat`; `reaction` tells whether an alert is a policy's."""
        wanting = [policy for policy in policies if policy.repeat and policy.on == OPENED]
        now = self._clock.now()
        if not wanting or (self._not_before is not None and now < self._not_before):
            return 0
        pairs = [(policy, fact) for policy in wanting for fact in self._all().values() if reaction(fact, policy)]
        self._not_before = now + timedelta(seconds=min(60.0, *(policy.repeat / 10 for policy in wanting)))
        return sum(self._again(policy, fact, now) for policy, fact in pairs)

    def _all(self) -> dict[str, Fact]:
        if self._open is None:
            self._open = {}
            for kind in (OPENED, model.GREW, RESOLVED):
                after = 0
                while page := self._ledger.since(after, PAGE, kind):
                    self._apply(self._open, page)
                    after = page[-1].seq
        return self._open

    def _apply(self, into: dict[str, Fact], facts: Sequence[Fact]) -> None:
        for fact in facts:
            alert = str(fact.body.get("alert") or fact.body.get("id") or "")
            if fact.kind in (OPENED, model.GREW) and alert:
                into[f"{alert} {fact.body.get('cause', '')}"] = fact
            elif fact.kind == RESOLVED and alert:
                for name in [name for name in into if name.split(" ")[0] == alert and into[name].seq < fact.seq]:
                    del into[name]

    def _again(self, policy: Policy, fact: Fact, now: datetime) -> int:
        key = rules.dedupe_key(policy, fact)
        last = self._database.read(lambda tx: store.last_with(tx, policy, key))
        if last is None or last.state in (model.REQUESTED, model.RUNNING):
            return 0
        if (now - from_text(last.fired_at)).total_seconds() < policy.repeat:
            return 0
        before = last.dedupe_key.removeprefix(f"{key}/again:")
        turn = int(before) + 1 if before.isdigit() else 1
        text = f"{fact.kind} {fact.subject}, still open after {turn} times {shown(policy.repeat)}"
        cause = Cause(key=f"{key}/again:{turn}", text=text, by=policy.actor, fact=fact)
        firing = self._database.write(lambda tx: self._records.fire(tx, policy, cause))
        return int(firing is not None and firing.state == model.REQUESTED)

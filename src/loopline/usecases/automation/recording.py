"""Writing a firing down with its fact, once for each cause."""

from __future__ import annotations

from typing import Any

import msgspec

from loopline.core.facts import Fact
from loopline.core.ids import new_id
from loopline.ports.clock import Clock
from loopline.ports.database import Transaction
from loopline.usecases.automation import model, rules, store
from loopline.usecases.automation.model import Firing, Policy
from loopline.usecases.automation.needs import Ledger


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What sets a policy off: `key` names it for ever, `text` tells it to people, `by` is who is answerable.

    `reason` says why it may not (the firing is written as skipped). `by_hand` asks neither cooldown nor pause.
    """

    key: str
    text: str
    by: str
    fact: Fact | None = None
    event_at: str | None = None
    reason: str = ""
    by_hand: bool = False


class Records:
    """Firings as they come into being."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    def fire(self, tx: Transaction, policy: Policy, cause: Cause) -> Firing | None:
        """Write a firing and its fact; None when this cause was dealt with before. With a reason against it, or while
        the policy is paused, rests or is busy, it is written as skipped."""
        if store.known(tx, cause.key):
            return None
        reason = cause.reason or ("" if cause.by_hand else self._against(tx, policy, cause))
        firing_id, now = new_id(), self._clock.text()
        because = cause.fact.seq if cause.fact else None
        body: dict[str, Any] = {
            "firing": firing_id,
            "project": policy.project,
            "policy": policy.name,
            "cause": cause.text,
            "reason": reason,
            "because": because,
            "event_at": cause.event_at,
        }
        kind = model.SKIPPED if reason else model.FIRED
        told = self._ledger.append(tx, kind, f"policy:{policy.key}", cause.by, body)
        firing = Firing(
            id=firing_id, seq=told.seq, project=policy.project, policy=policy.name, dedupe_key=cause.key,
            because=because, cause=cause.text, event_at=cause.event_at, fired_at=now, fired_by=cause.by, rules=policy,
            code=policy.code, state=model.SKIPPED_STATE if reason else model.REQUESTED, reason=reason, owner="",
            attempts=0, started_seq=None, started_at=None, ended_at=now if reason else None, run_id=None, model=None,
            version=None, alias=None, gate_id=None, verdict=None, promoted=False, pipeline=policy.pipeline,
            environment=policy.environment,
        )  # fmt: skip
        store.add(tx, firing)
        return firing

    def _against(self, tx: Transaction, policy: Policy, cause: Cause) -> str:
        """Why a policy may not fire just now, or ""."""
        if policy.paused:
            return "paused: its project says so"
        until = rules.rests(policy, store.last(tx, policy), cause.event_at, self._clock.text())
        if until:
            return f"cooldown: it rests until {until}"
        if policy.when_busy == "skip" and policy.pipeline:
            others = store.under_way_for(tx, policy.pipeline)
            if others >= policy.concurrency:
                return f"busy: {others} firing{'' if others == 1 else 's'} of {policy.run} wait or run already"
        return ""

"""Versions tried on real traffic beside the live one: canaries, shadows and tests, their shares and their end."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.ports.database import Transaction
from loopline.usecases.serving import model, splits
from loopline.usecases.serving.model import (
    BESIDE,
    REQUESTED,
    RETIRED,
    Endpoint,
    Revision,
    subject,
)
from loopline.usecases.serving.outcomes import Outcomes
from loopline.usecases.serving.splitting import checked_by, checked_name, checked_share, laid, misfit
from loopline.usecases.serving.traffic import CANARY, SHADOW, TEST, Arm, Traffic

MOST_BESIDE = 8
MOST_STEPS = 50
SHORTEST_STEP_S = 1.0
BECAUSE = {CANARY: "a canary began", TEST: "a test began", SHADOW: "a shadow began"}


class Sharing(Outcomes):
    """Say how an endpoint's requests are shared out."""

    def canary(
        self, name: str, version: int | str, share: float, actor: str, by: str | None = None,
        steps: Sequence[float] = (), every_s: float = 0.0,
    ) -> Revision:  # fmt: skip
        """Have a version answer a share of the requests, to be made live or taken off.

        With `steps` its share becomes the next one each `every_s` seconds while it is not worse than what is live; else
        it is taken off. A step of 1 makes it live. Conflict when another split is on, or when rows for what is live
        cannot be given to it.
        """
        steps = checked_steps(steps, every_s)
        share = checked_share(steps[0] if steps else share, "a canary")
        told = {"kind": CANARY, "steps": steps[1:], "every_s": every_s if steps else 0.0}
        return self._begin(name, version, actor, CANARY, lambda old: self._split(old, CANARY, share, by, told))

    def test_arm(
        self, name: str, version: int | str, arm: str, share: float, actor: str, by: str | None = None
    ) -> Revision:
        """Have a version answer a share of the requests as an arm of a test (A/B), whose outcomes `arms` compares with
        what is live. A test may have several arms. By default an arm sticks to the endpoint's key, else to the caller."""
        checked_share(share, f"the arm {checked_name(arm)!r}")
        return self._begin(
            name, version, actor, arm, lambda old: self._split(old, arm, share, by or _sticky(old), {"kind": TEST})
        )

    def shadow(self, name: str, version: int | str, share: float, actor: str) -> Revision:
        """Have a version see copies of a share of the requests; it answers nobody."""
        checked_share(share, "a shadow")

        def wish(old: Endpoint) -> tuple[Traffic, str]:
            traffic = old.traffic or Traffic()
            names = {arm.name for arm in traffic.shadows}
            free = next(
                each for each in (SHADOW, *(f"{SHADOW}-{n}" for n in range(2, MOST_BESIDE + 2))) if each not in names
            )
            return _with_shadow(traffic, free, 0, share), free

        return self._begin(name, version, actor, SHADOW, wish)

    def share(
        self, name: str, shares: Mapping[str, float], actor: str, steps: Sequence[float] = (), every_s: float = 0.0
    ) -> Traffic:
        """Change the shares of arms and shadows by name. NotFound for one that is not there."""
        taken = checked_steps(steps, every_s)
        for arm, share in shares.items():
            checked_share(share, f"the arm {arm[:80]!r}")

        def work(tx: Transaction) -> Traffic:
            endpoint = self._endpoint(tx, name)
            old = self._traffic(endpoint)
            known = {arm.name for arm in (*old.arms, *old.shadows)}
            for arm in shares.keys() - known:
                raise NotFound(f"{name!r} has no arm {arm[:80]!r}.", f"It has {', '.join(sorted(known))}.")
            new = with_shares(old, shares)
            if taken:
                new = msgspec.structs.replace(new, steps=taken, every_s=every_s)
            return self._put(tx, endpoint, new, actor, "the shares were changed") or Traffic()

        return self._database.write(work)

    def promote(self, name: str, actor: str, arm: str | None = None) -> Revision:
        """Make the version of an arm (default: the only one) live; its share ends when it is."""

        def work(tx: Transaction) -> Revision:
            endpoint = self._endpoint(tx, name)
            chosen = self._one(endpoint, arm, (*self._traffic(endpoint).arms, *self._traffic(endpoint).shadows))
            return self._move(tx, endpoint, chosen.revision, actor, "promote")

        return self._database.write(work)

    def stop(self, name: str, actor: str, arm: str | None = None) -> Traffic | None:
        """Take an arm or a shadow off (default: all of them); what is live answers again. Answers what is left."""

        def work(tx: Transaction) -> Traffic | None:
            endpoint = self._endpoint(tx, name)
            old = self._traffic(endpoint)
            if arm is not None:
                self._one(endpoint, arm, (*old.arms, *old.shadows))
            new = without(old, None if arm is None else {arm})
            return self._put(tx, endpoint, new, actor, f"{arm or 'all'} taken off")

        return self._database.write(work)

    # Within a transaction

    def _roll_back(self, tx: Transaction, endpoint: Endpoint, actor: str) -> Revision:
        """The newest change first: a deployment under way, then a canary, then what is live."""
        traffic = endpoint.traffic
        going = endpoint.live is not None and endpoint.wanted == endpoint.live
        if going and traffic is not None and traffic.arms and traffic.kind == CANARY:
            self._put(tx, endpoint, without(traffic, {arm.name for arm in traffic.arms}), actor, "rolled back")
            return self._revision(tx, endpoint.name, endpoint.live or 0)
        return super()._roll_back(tx, endpoint, actor)

    def _begin(self, name: str, version: int | str, actor: str, how: str, wish: Any) -> Revision:
        found = self._version(self.endpoint(name).model, version)

        def work(tx: Transaction) -> Revision:
            endpoint = self._endpoint(tx, name)
            if endpoint.live is None:
                raise Conflict(f"Endpoint {name!r} has nothing live yet.", f"`loopline deploy {name} VERSION` first.")
            live = self._revision(tx, name, endpoint.live)
            made = self._made(tx, endpoint, found, actor)
            reason = misfit(live.signature, made.signature)
            if reason:
                raise Conflict(f"Version {found.version} cannot stand beside: {reason}.", "Deploy it instead.")
            wished, arm = wish(endpoint)
            self._tell(tx, "deployment.requested", made, actor, how=how, arm=arm)
            self._put(tx, endpoint, _given(wished, made.revision), actor, BECAUSE.get(how, BECAUSE[TEST]))
            return made

        return self._database.write(work)

    def _split(
        self, endpoint: Endpoint, arm: str, share: float, by: str | None, told: dict[str, Any]
    ) -> tuple[Traffic, str]:
        """The endpoint's traffic with one more arm, whose revision is not known yet."""
        old = endpoint.traffic or Traffic()
        if old.arms and (old.kind != told["kind"] or old.kind == CANARY):
            kind = "canary" if old.kind == CANARY else "test"
            raise Conflict(
                f"A {kind} is on already at {endpoint.name!r}.",
                f"`loopline traffic {endpoint.name} --promote` or `--stop` ends it.",
            )
        if old.arm(arm) is not None:
            raise Conflict(f"{endpoint.name!r} has an arm {arm!r} already.", "Give this one another name.")
        sticks = checked_by(by or (old.by if old.arms else "request"), endpoint.key)
        if old.arms and sticks != old.by:
            raise Conflict(f"The requests are shared out by {old.by} already.", "One test sticks to one thing.")
        arms = (*old.arms, Arm(name=arm, revision=0, share=0.0))
        shares = {each.name: each.share for each in old.arms} | {arm: share}
        salt = old.salt if old.arms else secrets.token_hex(8)
        new = msgspec.structs.replace(old, arms=laid(arms, shares), by=sticks, salt=salt, **told)
        return new, arm

    def _put(
        self, tx: Transaction, endpoint: Endpoint, traffic: Traffic | None, actor: str, why: str
    ) -> Traffic | None:
        """Write how the requests are shared out; revisions that stand nowhere any more are retired."""
        at = self._clock.text()
        new = None if traffic is None or traffic.empty() else msgspec.structs.replace(traffic, since=at)
        if new is not None and len(new.revisions()) > MOST_BESIDE:
            raise Conflict(f"{MOST_BESIDE} revisions run beside {endpoint.name!r} already.", "Take one off first.")
        splits.put(tx, endpoint.name, new, at, actor, why)
        if endpoint.traffic is None and endpoint.live is not None:
            splits.forget_counts(tx, endpoint.name, endpoint.live)
        body = {"endpoint": endpoint.name, "traffic": None if new is None else plain(new), "why": why}
        self._ledger.append(tx, model.TRAFFIC_CHANGED, subject(endpoint.name), actor, body)
        gone = set((endpoint.traffic or Traffic()).revisions()) - set(() if new is None else new.revisions())
        for number in sorted(gone - {endpoint.live, endpoint.wanted}):
            self._leave(tx, endpoint.name, number, at, actor)
        return new

    def _leave(self, tx: Transaction, name: str, number: int, at: str, actor: str) -> None:
        left = self._revision(tx, name, number)
        if left.status in (REQUESTED, BESIDE):
            splits.set_status(tx, name, number, RETIRED, at)
            self._tell(tx, "deployment.retired", left, actor)

    def _drop_arms_of(self, tx: Transaction, name: str, number: int, actor: str, why: str) -> None:
        """A revision that became live, or failed, has no share of its own any more."""
        endpoint = self._endpoint(tx, name)
        names = {arm.name for arm in _all(endpoint.traffic) if arm.revision == number}
        if names:
            self._put(tx, endpoint, without(endpoint.traffic or Traffic(), names), actor, why)

    def _one(self, endpoint: Endpoint, name: str | None, arms: Sequence[Arm]) -> Arm:
        """The arm of that name; for None the one that answers a share."""
        if name is None:
            shared = self._traffic(endpoint).arms or arms
            if len(shared) != 1:
                raise Invalid(f"{endpoint.name!r} has several arms.", f"Name one: {', '.join(a.name for a in arms)}.")
            return shared[0]
        found = next((arm for arm in arms if arm.name == name), None)
        if found is None:
            known = ", ".join(sorted(arm.name for arm in arms))
            raise NotFound(f"{endpoint.name!r} has no arm {name[:80]!r}.", f"It has {known}.")
        return found


def checked_steps(steps: Sequence[float], every_s: float) -> tuple[float, ...]:
    """The shares that a canary takes one after the other, ever larger; Invalid when they cannot be."""
    if not steps:
        return ()
    found = tuple(checked_share(step, "a step") for step in steps)
    if len(found) > MOST_STEPS or list(found) != sorted(set(found)) or found[0] == 0.0:
        raise Invalid("The steps of a canary must become ever larger.", "Write them as 5%,25%,50%.")
    if not every_s >= SHORTEST_STEP_S:
        raise Invalid(f"A step cannot last {every_s:.6g} s.", "Say how long one lasts: --every 10m.")
    return found


def with_shares(old: Traffic, shares: Mapping[str, float]) -> Traffic:
    """Other shares for some arms; as few callers as can be move."""
    arms = laid(old.arms, {arm.name: shares.get(arm.name, arm.share) for arm in old.arms})
    shadows = tuple(msgspec.structs.replace(arm, share=shares.get(arm.name, arm.share)) for arm in old.shadows)
    return msgspec.structs.replace(old, arms=arms, shadows=shadows)


def without(old: Traffic, names: set[str] | None) -> Traffic:
    """What is left when arms and shadows of these names (None: all) are taken off."""
    if names is None:
        return Traffic()
    arms = tuple(arm for arm in old.arms if arm.name not in names)
    shadows = tuple(arm for arm in old.shadows if arm.name not in names)
    return msgspec.structs.replace(old, arms=arms, shadows=shadows) if arms else Traffic(shadows=shadows)


def plain(traffic: Traffic) -> Any:
    """Traffic as a fact has it."""
    return msgspec.json.decode(msgspec.json.encode(traffic))


def _all(traffic: Traffic | None) -> tuple[Arm, ...]:
    return () if traffic is None else (*traffic.arms, *traffic.shadows)


def _given(traffic: Traffic, revision: int) -> Traffic:
    """The arm whose revision was not known gets it."""

    def named(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        return tuple(arm if arm.revision else msgspec.structs.replace(arm, revision=revision) for arm in arms)

    return msgspec.structs.replace(traffic, arms=named(traffic.arms), shadows=named(traffic.shadows))


def _with_shadow(traffic: Traffic, name: str, revision: int, share: float) -> Traffic:
    return msgspec.structs.replace(traffic, shadows=(*traffic.shadows, Arm(name=name, revision=revision, share=share)))


def _sticky(endpoint: Endpoint) -> str:
    if endpoint.traffic is not None and endpoint.traffic.arms:
        return endpoint.traffic.by
    return "key" if endpoint.key is not None else "caller"

"""What the data plane found out about revisions: that they are up, and what it decided about them by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from loopline.ports.database import Transaction
from loopline.usecases.serving import splits, store
from loopline.usecases.serving.model import (
    ADVANCED,
    BESIDE,
    KEPT,
    PROMOTED,
    REQUESTED,
    ROLLED_BACK,
    STOPPED,
    Count,
    Revision,
    Verdict,
)
from loopline.usecases.serving.sharing import Sharing, with_shares, without
from loopline.usecases.serving.traffic import Traffic


class Judging(Sharing):
    """The data plane tells; each verdict stands in the ledger with its evidence."""

    def went_beside(self, name: str, number: int, actor: str) -> None:
        """A revision of an arm or a shadow is up beside what is live."""

        def work(tx: Transaction) -> None:
            given = self._revision(tx, name, number)
            traffic = self._endpoint(tx, name).traffic
            if given.status == REQUESTED and traffic is not None and number in traffic.revisions():
                splits.set_status(tx, name, number, BESIDE, None)
                self._tell(tx, "deployment.beside", given, actor)

        self._database.write(work)

    def was_baked(self, name: str, number: int, evidence: dict[str, Any], at: str, actor: str) -> None:
        """The bake period of a revision ended well."""

        def work(tx: Transaction) -> None:
            given = self._revision(tx, name, number)
            self._judge(tx, given, "live", KEPT, "", evidence, at)
            self._tell(tx, "deployment.baked", given, actor, evidence=evidence)

        self._database.write(work)

    def was_rolled_back(
        self, name: str, number: int, to: int, reason: str, evidence: dict[str, Any], at: str, actor: str
    ) -> bool:
        """The data plane has put revision `to` back in place of `number` at `at`. False when another is live by now."""

        def work(tx: Transaction) -> bool:
            endpoint = self._endpoint(tx, name)
            if endpoint.live != number:
                return False
            bad, good = self._revision(tx, name, number), self._revision(tx, name, to)
            store.set_retired(tx, name, number, at)
            store.set_rolled_back(tx, name, number, at)
            store.set_live(tx, good, at, actor)
            if endpoint.wanted == number:
                store.want(tx, name, to)
            self._judge(tx, bad, "live", ROLLED_BACK, reason, evidence, at)
            told = {"to_revision": to, "reason": reason, "evidence": evidence}
            self._tell(tx, "deployment.rolled_back", bad, actor, **told)
            self._tell(tx, "deployment.live", good, actor, from_revision=number)
            return True

        return self._database.write(work)

    def canary_went(
        self, name: str, number: int, well: bool, reason: str, evidence: dict[str, Any], at: str, actor: str
    ) -> None:
        """A canary was judged at the end of a step (`well`: it takes the next share, or is made live), or at any moment
        (it is taken off)."""

        def work(tx: Transaction) -> None:
            endpoint = self._endpoint(tx, name)
            traffic = endpoint.traffic or Traffic()
            arm = next((each for each in traffic.arms if each.revision == number), None)
            if arm is None:
                return
            given = self._revision(tx, name, number)
            step = traffic.steps[0] if well and traffic.steps else None
            verdict = STOPPED if not well else PROMOTED if step == 1.0 else ADVANCED
            self._judge(tx, given, arm.name, verdict, reason, evidence, at)
            if not well:
                self._tell(tx, "canary.stopped", given, actor, reason=reason, evidence=evidence)
                store.set_rolled_back(tx, name, number, at)
                self._put(tx, endpoint, without(traffic, {arm.name}), actor, f"the canary was worse: {reason}")
            elif step == 1.0:
                self._tell(tx, "canary.promoted", given, actor, evidence=evidence)
                self._move(tx, endpoint, number, actor, "promote")
            elif step is not None:
                new = structs.replace(with_shares(traffic, {arm.name: step}), steps=traffic.steps[1:])
                self._tell(tx, "canary.advanced", given, actor, share=step, evidence=evidence)
                self._put(tx, endpoint, new, actor, f"the canary was not worse: step to {step:.4g}")

        self._database.write(work)

    def counted(self, counts: Sequence[Count]) -> None:
        """Add to the counts of arms and shadows."""
        self._database.write(lambda tx: splits.count(tx, counts, self._clock.text()))

    def _judge(
        self, tx: Transaction, given: Revision, arm: str, verdict: str, reason: str, evidence: dict[str, Any], at: str
    ) -> None:
        made = Verdict(
            endpoint=given.endpoint, revision=given.revision, arm=arm, verdict=verdict, reason=reason,
            evidence=evidence, at=at,
        )  # fmt: skip
        splits.put_verdict(tx, made)

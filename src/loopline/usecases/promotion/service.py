"""The verbs of promotion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from loopline.core.errors import CheckFailed, Conflict, Invalid, NotFound, Refused
from loopline.core.ids import checked_name, new_id
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.promotion import gating, store
from loopline.usecases.promotion.beside import Beside
from loopline.usecases.promotion.model import (
    APPROVAL_GIVEN,
    GATE_DECIDED,
    Approval,
    Gate,
    GateConfig,
    Standing,
    Verdict,
    decide,
)
from loopline.usecases.promotion.needs import Automation, Ledger, Move, Projects, Registry, Version

_REFERENCE = re.compile(r"(?:(?P<model>[A-Za-z0-9][A-Za-z0-9_.-]*)[:/])?v?(?P<version>[0-9]{1,9})\Z")


class Promotion(Beside):
    """Nothing reaches a guarded alias by being new: a gate decides, people approve, the alias moves, or moves back."""

    def __init__(
        self, database: Database, ledger: Ledger, clock: Clock, registry: Registry, projects: Projects,
        automation: Automation | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._registry = registry
        self._projects = projects
        self._automation = automation

    def resolve(self, text: str) -> tuple[str, int]:
        """(model, version) for `model:3`, `model/3`, or `3` when there is one registered model. Invalid otherwise."""
        match = _REFERENCE.match(text)
        if match is None:
            raise Invalid(f"{text!r} names no version.", "Write model:3, or 3 when there is only one model.")
        models = [model.name for model in self._registry.models()]
        if match["model"] is None and len(models) != 1:
            known = ", ".join(sorted(models)[:9]) or "none"
            raise Invalid(f"{text!r} does not say which model.", f"Write model:{match['version']} (models: {known}).")
        return match["model"] or models[0], int(match["version"])

    def rules(self, model: str, alias: str) -> GateConfig:
        """The gate that guards an alias: from `loopline.yaml`, or the defaults. Invalid when it is written wrongly."""
        written = self._projects.gate(model, alias)
        try:
            return GateConfig() if written is None else msgspec.convert(_rules_in(written), GateConfig)
        except msgspec.ValidationError as error:
            raise Invalid(
                f"The gate of {model}@{alias} is written wrongly: {error}.", "Mend it in loopline.yaml."
            ) from None

    def gate(self, model: str, version: int, alias: str, actor: str) -> Gate:
        """Judge a version against the champion behind `alias`; verdict, checks and evidence are stored for ever.

        With `auto_promote` the alias moves at once when the gate passed and no approval is missing. NotFound for an
        unknown version; what cannot be measured makes a check `not_run`.
        """
        challenger = self.judgeable(model, version, alias)
        config, champion = self.rules(model, alias), self._registry.alias(model, alias)
        standing = None if champion is None else self._registry.version(model, champion)
        evidence = gating.gathered(self._registry, challenger, standing, config)
        decision = decide(evidence, config)
        gate = Gate(
            id=new_id(),
            model=model,
            version=version,
            alias=alias,
            champion=champion,
            verdict=decision.verdict,
            checks=decision.checks,
            evidence=evidence,
            config=config,
            decided_at=self._clock.text(),
            decided_by=actor,
        )
        self._database.write(lambda tx: self._decided(tx, gate))
        self._promote_by_itself(gate, actor)
        return gate

    def judgeable(self, model: str, version: int, alias: str) -> Version:
        """The version that a gate would judge; raises what can be refused without loading it."""
        checked_name("alias", alias)
        return self._registry.version(model, version)

    def gates(self, model: str = "", limit: int = 50) -> list[Gate]:
        """The newest gates, newest first."""
        return self._database.read(lambda tx: store.gates(tx, model, max(1, min(limit, 500))))

    def verdict(self, gate_id: str) -> Gate:
        """One gate by its id; NotFound."""
        found = self._database.read(lambda tx: store.gate(tx, gate_id))
        if found is None:
            raise NotFound(f"There is no gate {gate_id!r}.", "`loopline gates` lists them.")
        return found

    def standing(self, model: str, version: int, alias: str) -> Standing:
        """How far a candidate has come on its way to an alias."""
        gate, given = self._gate_and_approvals(model, version, alias)
        return Standing(
            model=model,
            version=version,
            alias=alias,
            gate=gate,
            approvals=given,
            missing=self._missing(gate, given) or self._held(model),
            promoted=self._registry.alias(model, alias) == version,
        )

    def approve(self, model: str, version: int, actor: str, alias: str = "", note: str = "") -> Approval:
        """Say yes to the evidence of the newest passed gate of a version; repeating it changes nothing.

        Conflict when no gate has passed, Refused for one's own candidate (unless `self_approval`). With `auto_promote`
        the last missing approval moves the alias.
        """
        self._registry.version(model, version)
        gate = self._database.read(lambda tx: store.newest_gate(tx, model, version, alias or None))
        gate = self._approvable(gate, model, version, actor)
        approval = Approval(
            gate=gate.id,
            model=model,
            version=version,
            alias=gate.alias,
            note=note,
            given_at=self._clock.text(),
            given_by=actor,
        )
        if self._database.write(lambda tx: self._given(tx, approval)):
            self._promote_by_itself(gate, actor)
        return approval

    def promote(self, model: str, version: int, alias: str, actor: str) -> Standing:
        """Move the alias to a version whose newest gate passed and whose approvals are there.

        CheckFailed when the gate said no, Refused when a gate or an approval is missing, Conflict when the alias has
        moved since the gate compared with its version.
        """
        candidate = self._registry.version(model, version)
        gate, given = self._gate_and_approvals(model, version, alias)
        missing = self._missing(gate, given)
        if gate is not None and gate.evidence.digest not in ("", candidate.digest):
            raise Refused(
                f"The gate of {model}:{version} judged another version that had this name.",
                f"Run `loopline gate {model}:{version} --to {alias}`.",
            )
        if gate is not None and gate.verdict is Verdict.FAILED:
            raise CheckFailed(
                f"{model}:{version} may not become {alias}: {missing}.", f"`loopline gates {model}` shows it."
            )
        if gate is None or missing:
            raise Refused(
                f"{model}:{version} may not become {alias} yet: {missing}.", self._way_out(gate, model, version, alias)
            )
        held = self._held(model)
        if held:
            raise Refused(
                f"{model}:{version} may not become {alias} yet: {held}.",
                f"Resolve the alert, or let an admin run `loopline policies --lift {model}`.",
            )
        current = self._registry.alias(model, alias)
        if current not in (gate.champion, version):
            raise Conflict(
                f"{alias} moved to version {current} since the gate compared {model}:{version} with {gate.champion}.",
                f"Run `loopline gate {model}:{version} --to {alias}` again.",
            )
        self._registry.freeze_card(model, version, actor)
        self._registry.point(model, alias, version, actor, f"gate {gate.id} passed")
        return self.standing(model, version, alias)

    def rollback(self, model: str, alias: str, actor: str, reason: str = "") -> int:
        """Move an alias back to where it pointed before; answers that version. Conflict when there is none.

        Going back twice goes two steps back: a version that was rolled back is never brought up again.
        """
        target = previous_target(self._registry.alias_history(model, alias))
        if target is None:
            raise Conflict(
                f"{model}@{alias} has no earlier version to go back to.",
                f"Promote one with `loopline promote VERSION --to {alias}`.",
            )
        self._registry.point(model, alias, target, actor, f"rollback: {reason or 'by hand'}")
        return target

    def _decided(self, tx: Transaction, gate: Gate) -> None:
        body: dict[str, Any] = {"gate": gate.id, "model": gate.model, "version": gate.version, "alias": gate.alias}
        body |= {"champion": gate.champion, "verdict": gate.verdict.value}
        body["checks"] = {check.name: check.verdict.value for check in gate.checks}
        body["approvals"] = gate.config.approvals
        fact = self._ledger.append(tx, GATE_DECIDED, f"{gate.model}/{gate.version}", gate.decided_by, body)
        store.add_gate(tx, fact.seq, gate)

    def _given(self, tx: Transaction, approval: Approval) -> bool:
        new = store.add_approval(tx, approval)
        if new:
            body = {name: getattr(approval, name) for name in ("gate", "model", "version", "alias", "note")}
            subject = f"{approval.model}/{approval.version}"
            self._ledger.append(tx, APPROVAL_GIVEN, subject, approval.given_by, body)
        return new

    def _approvable(self, gate: Gate | None, model: str, version: int, actor: str) -> Gate:
        if gate is None or gate.verdict is not Verdict.PASSED:
            raise Conflict(
                f"No gate has passed {model}:{version}, so there is nothing to approve.",
                f"Run `loopline gate {model}:{version} --to ALIAS` first.",
            )
        if not gate.config.self_approval and actor == self._registry.version(model, version).created_by:
            raise Refused(
                f"{actor!r} registered {model}:{version} and cannot approve it.",
                "Someone else with the approver role must, or set self_approval: true in loopline.yaml.",
            )
        return gate

    def _gate_and_approvals(self, model: str, version: int, alias: str) -> tuple[Gate | None, tuple[Approval, ...]]:
        def work(tx: Transaction) -> tuple[Gate | None, tuple[Approval, ...]]:
            gate = store.newest_gate(tx, model, version, alias)
            return gate, () if gate is None else store.approvals(tx, gate.id)

        return self._database.read(work)

    def _missing(self, gate: Gate | None, given: Sequence[Approval]) -> str:
        """What stands between a candidate and its alias, or ''."""
        if gate is None:
            return "no gate has judged it"
        if gate.verdict is not Verdict.PASSED:
            words = {Verdict.FAILED: "failed", Verdict.NOT_RUN: "could not run"}[gate.verdict]
            reasons = "; ".join(check.reason for check in gate.checks if check.verdict is gate.verdict)
            return f"its gate {words} ({reasons})"
        lacking = gate.config.approvals - len(given)
        return f"{lacking} approval{'s' * (lacking > 1)} missing" if lacking > 0 else ""

    def _held(self, model: str) -> str:
        """Why nothing of the model may be promoted just now, or ''."""
        reason = self._automation.held(model) if self._automation is not None else ""
        return f"releases of {model} are held ({reason})" if reason else ""

    def _way_out(self, gate: Gate | None, model: str, version: int, alias: str) -> str:
        if gate is None or gate.verdict is not Verdict.PASSED:
            return f"Run `loopline gate {model}:{version} --to {alias}`."
        return f"Someone else runs `loopline approve {model}:{version}`."

    def _promote_by_itself(self, gate: Gate, actor: str) -> None:
        if not gate.config.auto_promote or gate.verdict is not Verdict.PASSED:
            return
        _, given = self._gate_and_approvals(gate.model, gate.version, gate.alias)
        if not self._missing(gate, given) and not self._held(gate.model):
            self.promote(gate.model, gate.version, gate.alias, actor)


def previous_target(moves: Sequence[Move]) -> int | None:
    """Where an alias goes when it is rolled back: its history replayed as a stack, so a move to a version further down
    drops all above it. Once it was taken off, nothing before counts."""
    stack: list[int] = []
    for move in moves:
        if move.version is None:
            stack.clear()
            continue
        if move.version in stack:
            del stack[stack.index(move.version) + 1 :]
        else:
            stack.append(move.version)
    return stack[-2] if len(stack) > 1 else None


def _rules_in(written: Any) -> Any:
    """The rules without the fields by which `loopline.yaml` says what they apply to."""
    rules = msgspec.to_builtins(written)
    return {name: value for name, value in rules.items() if name not in ("model", "alias", "promote_to", "name")}

"""Policies: which runs of an experiment stay, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from loopline.core.belongings import Candidate
from loopline.core.errors import Conflict, NotFound
from loopline.kit.rows import portions
from loopline.ports.database import Transaction
from loopline.usecases.retention import store
from loopline.usecases.retention.model import Applied, Policy, Rules, checked_rules, judged, word
from loopline.usecases.retention.purging import Purging


class Applying(Purging):
    """Rules per experiment, applied by whoever clears up."""

    def set_policy(self, experiment: str, rules: Rules, actor: str) -> Policy:
        """Give an experiment rules, instead of those that it has. NotFound, Invalid."""
        checked = checked_rules(rules)
        self._by_hand(experiment)

        def work(tx: Transaction) -> Policy:
            self._planning.find(tx, "experiment", experiment)
            policy = Policy(experiment, checked, self._clock.text(), actor)
            store.put_policy(tx, policy)
            self._ledger.append(tx, "retention.set", f"experiment:{experiment}", actor, msgspec.to_builtins(checked))
            return policy

        return self._database.write(work)

    def drop_policy(self, experiment: str, actor: str) -> None:
        """Keep all runs of an experiment from now on. NotFound when it has no rules."""

        self._by_hand(experiment)

        def work(tx: Transaction) -> None:
            if not store.drop_policy(tx, experiment):
                raise NotFound(f"The experiment {experiment!r} has no policy.", "`loopline retention` lists them.")
            self._ledger.append(tx, "retention.dropped", f"experiment:{experiment}", actor, {})

        self._database.write(work)

    def policies(self) -> list[Policy]:
        """The rules of all experiments that have some, by experiment; what a project declares goes before what was set
        by hand."""
        found = {one.experiment: one for one in self._database.read(store.policies)} | self._declared()
        return [found[name] for name in sorted(found)]

    def judge(self, experiment: str, rules: Rules | None = None) -> Applied:
        """Which runs would go and which stay, and why; with `rules` as if those were set."""
        policy = next((one for one in self.policies() if one.experiment == experiment), None)
        if rules is None and policy is None:
            raise NotFound(f"The experiment {experiment!r} has no policy.", "`loopline retention set` gives it one.")
        wanted = checked_rules(rules) if rules is not None else policy.rules  # type: ignore[union-attr]
        return self._database.read(lambda tx: self._judged(tx, experiment, wanted))

    def apply_policies(self, actor: str, dry_run: bool = False) -> list[Applied]:
        """Put into the trash what no rule keeps."""
        return [self._applied(one, actor, dry_run) for one in self.policies()]

    def _declared(self) -> dict[str, Policy]:
        """What the applied projects declare."""
        return {
            experiment: Policy(
                experiment, checked_rules(msgspec.convert(entry, Rules)), one.applied_at, one.applied_by, one.name
            )
            for one in self._projects.projects()
            for experiment, entry in (one.config.get("retention") or {}).items()
        }

    def _by_hand(self, experiment: str) -> None:
        """Conflict when a project declares the rules of an experiment."""
        declared = self._declared().get(experiment)
        if declared is not None:
            what = f"The project {declared.project!r} declares which runs of {experiment!r} are kept."
            raise Conflict(what, "Change `retention:` in its loopline.yaml, then `loopline apply`.")

    def _applied(self, policy: Policy, actor: str, dry_run: bool) -> Applied:
        if dry_run or not self._there(policy.experiment):
            return self._database.read(lambda tx: self._judged(tx, policy.experiment, policy.rules))
        return self._database.write(lambda tx: self._hidden(tx, policy, actor))

    def _there(self, experiment: str) -> bool:
        """Whether the experiment exists yet: a project may declare rules before its first run."""
        return self._database.read(lambda tx: self._planning.there(tx, "experiment", experiment))

    def _hidden(self, tx: Transaction, policy: Policy, actor: str) -> Applied:
        found = self._judged(tx, policy.experiment, policy.rules)
        going = [one.run for one in found.runs if not one.reason]
        if going:
            at, owner = self._clock.text(), self._planning.owner("run")
            for some in portions(going):
                owner.hide(tx, "run", some, at)
            counts = {word("run", 2): len(going), "kept": len(found.runs) - len(going)}
            self._tell(tx, "retention", f"experiment:{policy.experiment}", "applied", actor, {"run": going}, counts, 0)
        return found

    def _judged(self, tx: Transaction, experiment: str, rules: Rules) -> Applied:
        owner: Any = self._planning.owner("run")
        runs: list[Candidate] = list(owner.candidates(tx, experiment, rules.by))
        found = judged(rules, runs, self._used(tx, [run.name for run in runs]), self._clock.now())
        kept = Counter(one.reason for one in found if one.reason)
        return Applied(experiment, sum(not one.reason for one in found), dict(kept), found)

    def _used(self, tx: Transaction, names: Sequence[str]) -> dict[str, str]:
        """Runs that something needs, and what."""
        found: dict[str, str] = {}
        for block in self._planning.blocks(tx, {"run": names}) if names else ():
            found.setdefault(block.name, block.why)
        return found

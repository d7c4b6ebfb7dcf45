"""The verbs of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3

from loopline.core.errors import NotFound
from loopline.core.ids import checked_name
from loopline.ports.database import Transaction
from loopline.ports.runtime import LoadedModel
from loopline.usecases.serving.base import Base
from loopline.usecases.serving.rules import rows
from loopline.usecases.serving.rules.model import RULES_PUT, Rules, parsed_reference

if TYPE_CHECKING:
    from loopline.usecases.serving.model import Revision


class Ruling(Base):
    """Keep rules, and put them around a model."""

    def put_rules(self, name: str, source: str, actor: str) -> Rules:
        """Keep a file of rules as the next version of `name`; the same bytes as the newest are that version.

        Its tests run first, in a process of their own. Invalid for what is no file of rules, CheckFailed for a test that
        fails.
        """
        from loopline.usecases.serving.rules.registering import declared

        checked_name("rules", name)
        digest = blake3(source.encode()).hexdigest()
        newest = self._database.read(lambda tx: rows.newest(tx, name))
        if newest is not None and newest.digest == digest:
            return self.rule(newest.reference)
        found = declared(name, source)

        def work(tx: Transaction) -> Rules:
            last = rows.newest(tx, name)
            number = 1 if last is None else last.number + 1
            made = Rules(
                reference=f"{name}/{number}", name=name, number=number, digest=digest, declared=found,
                put_at=self._clock.text(), put_by=actor, source=source,
            )  # fmt: skip
            rows.add(tx, made)
            body = {"rules": made.reference, "digest": digest, "tests": len(found.tests)}
            self._ledger.append(tx, RULES_PUT, f"rules:{name}", actor, body)
            return made

        return self._database.write(work)

    def rules(self, name: str = "") -> list[Rules]:
        """All versions of rules without their sources, newest first; with `name` only its own."""
        return self._database.read(lambda tx: rows.every(tx, name))

    def rule(self, reference: str) -> Rules:
        """One version with its source: NAME/NUMBER. NotFound."""
        return self._database.read(lambda tx: self.rule_in(tx, reference))

    def rule_in(self, tx: Transaction, reference: str) -> Rules:
        """`rule` as part of a change."""
        name, number = parsed_reference(reference)
        found = rows.one(tx, f"{name}/{number}")
        if found is None:
            raise NotFound(f"There are no rules {reference!r}.", "`loopline rules` lists them.")
        return found

    def ruled(self, loaded: LoadedModel, revision: Revision) -> LoadedModel:
        """The model with the rules of a revision around it. Runs their code: only in a model's process."""
        from loopline.usecases.serving.rules.applying import Ruled

        if revision.rules is None:
            return loaded
        of_model = self._registry.version(revision.model, revision.version).signature
        return Ruled(loaded, of_model, self.rule(revision.rules))

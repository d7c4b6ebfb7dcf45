"""Deliveries to webhooks, from the secret to the firing."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec

from loopline.core.errors import Invalid
from loopline.core.ids import new_id
from loopline.ports.clock import Clock
from loopline.ports.database import Database, Transaction
from loopline.usecases.automation import hooks, model, rules, store
from loopline.usecases.automation.declared import policy_from
from loopline.usecases.automation.model import Firing, Policy
from loopline.usecases.automation.needs import Ledger, Projects
from loopline.usecases.automation.recording import Cause, Records

log = logging.getLogger(__name__)


class Deliveries:
    """Takes what webhooks send; each delivery once."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger, projects: Projects) -> None:
        self._database = database
        self._clock = clock
        self._projects = projects
        self._records = Records(clock, ledger)

    def take(self, project: str, policy: str, headers: Mapping[str, str], body: bytes) -> Firing | None:
        """The firing that a delivery made, now or when it came before; None when nobody waits for such a one."""
        chosen, secret = self._hook(project, policy)
        delivery = hooks.received(secret, headers, body, self._clock.now().timestamp())
        if chosen is None:  # there is no secret without a policy
            raise hooks.refused()
        if not rules.asked_for(chosen, delivery.body):
            return None
        params, wrong = rules.given(chosen, delivery.body)
        if wrong:
            raise Invalid(f"The delivery cannot be taken: {wrong}.", "Send what the policy's params_from names.")
        wanted = msgspec.structs.replace(chosen, params=params)
        names = [f"{chosen.key}/{name}" for name in delivery.names]
        cause = Cause(key=f"{chosen.key}/delivery:{new_id()}", text=f"webhook, delivery {delivery.names[0][:48]}",
                      by=chosen.actor)  # fmt: skip
        return self._database.write(lambda tx: self._taken(tx, wanted, names, cause))

    def _taken(self, tx: Transaction, policy: Policy, names: list[str], cause: Cause) -> Firing | None:
        known = store.delivered(tx, names)
        firing = self._records.fire(tx, policy, cause) if known is None else store.firing(tx, known)
        if firing is not None:
            store.deliver(tx, names, firing.id, self._clock.text())
        return firing

    def _hook(self, project: str, policy: str) -> tuple[Policy | None, bytes]:
        for one in self._projects.projects():
            written = (one.config.get("policies") or {}).get(policy) if one.name == project else None
            if written is None or written.get("on") != model.WEBHOOK:
                continue
            chosen = policy_from(project, policy, written, one.config, one.code_digest)
            secret = hooks.secret_of(chosen.secret, one.folder)
            if not secret:
                log.warning("the secret of the webhook %s is not there: %s", chosen.key, dict(chosen.secret))
            return chosen, secret
        return None, b""

"""What a policy does on an alert beside running a pipeline: roll back, hold releases, tell people. Each may be done again
after a crash: what was done is found and not repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.core.errors import Conflict
from loopline.core.facts import Fact
from loopline.ports.clock import Clock
from loopline.usecases.automation.holds import Holds
from loopline.usecases.automation.model import Firing, Hold
from loopline.usecases.automation.needs import Messages, Promotion, Serving


class Acting:
    """Does it; answers what was done in a sentence. Conflict when nothing says what it is about, or there is nothing to
    go back to."""

    def __init__(self, clock: Clock, holds: Holds, serving: Serving, promotion: Promotion, messages: Messages) -> None:
        self._clock = clock
        self._holds = holds
        self._serving = serving
        self._promotion = promotion
        self._messages = messages

    def __call__(self, firing: Firing, because: Fact | None) -> str:
        if because is None or not because.body.get("alert"):
            raise Conflict(f"No alert set {firing.policy!r} off.", "It acts on alerts alone.")
        acts = {"roll_back": self._roll_back, "hold": self._hold, "notify": self._notify}
        return acts[firing.rules.do](firing, because.body)

    def _roll_back(self, firing: Firing, body: Mapping[str, Any]) -> str:
        """Go back to the version before, if the one that answers now is the one that the alert blames."""
        name, blamed = str(body.get("endpoint") or ""), (body.get("model"), body.get("version"))
        if not name or blamed[1] is None:
            raise Conflict(
                "The alert blames no version of an endpoint.", "Narrow `when` to such causes as performance."
            )
        endpoint = self._serving.endpoint(name)
        if endpoint.live is None:
            return f"{name} answers nothing, so there is nothing to roll back"
        live = self._serving.revision(name, endpoint.live)
        if (live.model, live.version) != blamed:
            return f"not rolled back: {name} answers with {live.model}:{live.version}, the alert blames {blamed[0]}:{blamed[1]}"
        reason = f"policy {firing.policy}: alert {body['alert']}"
        if endpoint.alias and endpoint.traffic is None:
            back = self._promotion.rollback(endpoint.model, endpoint.alias, firing.rules.actor, reason)
            return f"{endpoint.model}@{endpoint.alias} went back to version {back}, and {name} with it"
        revision = self._serving.rollback(name, firing.rules.actor)
        return f"{name} goes back to version {revision.version} (revision {revision.revision})"

    def _hold(self, firing: Firing, body: Mapping[str, Any]) -> str:
        model = str(body.get("model") or "")
        if not model:
            raise Conflict("The alert is about no model.", "Narrow `when` to such causes as performance.")
        reason = f"alert {body['alert']} on {body.get('endpoint')} is open: {body.get('message')}"
        hold = Hold(
            firing=firing.id, model=model, alert=str(body["alert"]), endpoint=str(body.get("endpoint") or ""),
            project=firing.project, policy=firing.policy, reason=reason, since=self._clock.text(),
        )  # fmt: skip
        self._holds.add(hold, firing.rules.actor)
        return f"releases of {model} are held until alert {body['alert']} is resolved"

    def _notify(self, firing: Firing, body: Mapping[str, Any]) -> str:
        told = [f"{firing.project}/{name}" for name in firing.rules.notify]
        self._messages.tell(str(body["alert"]), told)
        return f"told {', '.join(firing.rules.notify)} of alert {body['alert']}"

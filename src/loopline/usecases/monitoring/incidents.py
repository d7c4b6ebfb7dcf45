"""Alerts as incidents: one open alert for each endpoint and cause, each change of state a fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from loopline.core.errors import Conflict, Invalid, NotFound
from loopline.core.ids import new_id
from loopline.ports.database import Transaction
from loopline.usecases.monitoring.model import (
    ACKNOWLEDGED,
    ALERT_ACKNOWLEDGED,
    ALERT_JUDGED,
    ALERT_OPENED,
    ALERT_RESOLVED,
    OPEN,
    RESOLVED,
    Alert,
    Finding,
)
from loopline.usecases.monitoring.model.messages import CLOSED, OPENED
from loopline.usecases.monitoring.needs import Ledger
from loopline.usecases.monitoring.store import alerts as store
from loopline.usecases.monitoring.store import messages as message_store

VERDICTS = ("real", "false")
SAID = {ALERT_OPENED: OPENED, ALERT_RESOLVED: CLOSED}
TOLD = ("endpoint", "cause", "model", "version", "first_window", "last_window", "value", "limit", "message", "note")


class Incidents:
    """Opens and closes alerts inside a transaction of the caller. `at` is the time of the change."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def settle(
        self, tx: Transaction, endpoint: str, model: str, found: Sequence[Finding], judged: Mapping[str, str],
        actor: str, at: str,
    ) -> dict[str, str]:  # fmt: skip
        """Take the windows in their order, as if someone had looked at each when it was due: how late or often one
        evaluates changes nothing. `judged` is the last window looked at by cause; answers the same for next time.

        The last one is looked at again, as a correction may have changed it.
        """
        until = dict(judged)
        for finding in found:
            if finding.window >= judged.get(finding.cause, ""):
                self._take(tx, endpoint, model, finding, actor, at)
                until[finding.cause] = finding.window
        return until

    def _take(self, tx: Transaction, endpoint: str, model: str, finding: Finding, actor: str, at: str) -> None:
        last = store.newest_alert(tx, endpoint, finding.cause)
        standing = None if last is None or last.state == RESOLVED else last
        if standing is not None and _superseded(standing, model, finding):
            self._move(tx, standing, RESOLVED, ALERT_RESOLVED, actor, f"version {finding.version} took over", at)
            standing = None
        if standing is not None:
            self._follow(tx, standing, finding, actor, at)
        elif finding.state == "wrong" and (last is None or finding.window > last.last_window):
            self._open(tx, endpoint, model, finding, actor, at)

    def acknowledge(self, tx: Transaction, alert_id: str, actor: str, note: str, at: str) -> Alert:
        """Someone looks after it; again by the same person changes nothing. Conflict when it is resolved."""
        alert = self.existing(tx, alert_id)
        if alert.state == RESOLVED:
            raise Conflict(f"The alert {alert_id} is resolved already.", "`loopline alerts` lists those that are open.")
        if alert.state == ACKNOWLEDGED and alert.changed_by == actor:
            return alert
        return self._move(tx, alert, ACKNOWLEDGED, ALERT_ACKNOWLEDGED, actor, note, at)

    def resolve(self, tx: Transaction, alert_id: str, actor: str, note: str, at: str) -> Alert:
        """Close it by hand; it opens anew only when a later window is wrong too."""
        alert = self.existing(tx, alert_id)
        return alert if alert.state == RESOLVED else self._move(tx, alert, RESOLVED, ALERT_RESOLVED, actor, note, at)

    def judge(self, tx: Transaction, alert_id: str, verdict: str, actor: str, note: str, at: str) -> Alert:
        """Say whether an alert was "real" or "false"; "" takes it back. Saying the same again changes nothing."""
        if verdict not in (*VERDICTS, ""):
            raise Invalid(f"{verdict!r} is no verdict on an alert.", 'Say "real" or "false".')
        alert = self.existing(tx, alert_id)
        if alert.verdict == verdict:
            return alert
        judged = msgspec.structs.replace(
            alert, verdict=verdict, judged_by=actor if verdict else "", judged_at=at if verdict else ""
        )
        body = {"alert": alert.id, "endpoint": alert.endpoint, "cause": alert.cause, "verdict": verdict, "note": note}
        self._ledger.append(tx, ALERT_JUDGED, subject_of(alert), actor, body)
        store.set_alert(tx, judged)
        return judged

    def existing(self, tx: Transaction, alert_id: str) -> Alert:
        """The alert of that id; NotFound when there is none."""
        found = store.alert(tx, alert_id)
        if found is None:
            raise NotFound(f"There is no alert {alert_id!r}.", "`loopline alerts` lists them.")
        return found

    def _follow(self, tx: Transaction, alert: Alert, finding: Finding, actor: str, at: str) -> None:
        if finding.state == "well" and finding.window >= alert.last_window:
            self._move(tx, alert, RESOLVED, ALERT_RESOLVED, actor, finding.message, at)
        if finding.state != "wrong":
            return
        seen = {
            "last_window": finding.window,
            "value": finding.value,
            "limit": finding.limit,
            "message": finding.message,
        }
        if any(getattr(alert, name) != value for name, value in seen.items()):
            store.set_alert(tx, msgspec.structs.replace(alert, **seen))

    def _open(self, tx: Transaction, endpoint: str, model: str, finding: Finding, actor: str, at: str) -> None:
        alert = Alert(
            id=new_id()[:12],
            endpoint=endpoint,
            cause=finding.cause,
            state=OPEN,
            model=model,
            version=finding.version,
            first_window=finding.first_window,
            last_window=finding.window,
            value=finding.value,
            limit=finding.limit,
            message=finding.message,
            opened_at=at,
            changed_at=at,
            changed_by=actor,
            details=finding.details,
        )
        store.add_alert(tx, alert, self._tell(tx, alert, ALERT_OPENED, actor, at))

    def _move(self, tx: Transaction, alert: Alert, state: str, kind: str, actor: str, note: str, at: str) -> Alert:
        moved = msgspec.structs.replace(alert, state=state, note=note or alert.note, changed_at=at, changed_by=actor)
        self._tell(tx, moved, kind, actor, at)
        store.set_alert(tx, moved)
        return moved

    def _tell(self, tx: Transaction, alert: Alert, kind: str, actor: str, at: str) -> int:
        body = {"alert": alert.id} | {name: getattr(alert, name) for name in TOLD}
        seq = self._ledger.append(tx, kind, subject_of(alert), actor, body).seq
        if kind in SAID:
            message_store.post(tx, alert, SAID[kind], seq, at)
        return seq


def subject_of(alert: Alert) -> str:
    """What facts about an alert are about."""
    return f"endpoint:{alert.endpoint}" if alert.endpoint else "installation"


def _superseded(alert: Alert, model: str, finding: Finding) -> bool:
    """Whether a later version is bad too: that is an incident of its own, with a fact that policies see."""
    another = (alert.model, alert.version) != (model, finding.version)
    return (
        finding.cause == "performance" and finding.state == "wrong" and another and finding.window > alert.last_window
    )

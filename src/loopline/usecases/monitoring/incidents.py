"""Alerts as incidents: what belongs together is one, each change of state a fact, each state told to people once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
from loopline.usecases.monitoring.model.alerts import ALERT_GREW
from loopline.usecases.monitoring.model.grouping import (
    belongs,
    cause_of,
    causes_of,
    joined,
    seen_again,
    with_cause,
    with_commands,
)
from loopline.usecases.monitoring.model.messages import AGAIN, CLOSED, GREW, OPENED
from loopline.usecases.monitoring.needs import Ledger
from loopline.usecases.monitoring.store import alerts as store
from loopline.usecases.monitoring.store import messages as message_store

AGAIN_AFTER = 3  # windows after which people are told once more that nobody looks after it
RECENT = 200
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
        known = Known(tx, endpoint)
        for finding in in_order(found):
            if finding.window >= judged.get(finding.cause, ""):
                self._take(tx, known, endpoint, model, finding, actor, at)
                until[finding.cause] = finding.window
        return until

    def _take(
        self, tx: Transaction, known: Known, endpoint: str, model: str, finding: Finding, actor: str, at: str
    ) -> None:
        last = known.newest(finding.cause)
        standing = None if last is None or last.state == RESOLVED else last
        if standing is not None and _superseded(standing, model, finding):
            known.put(self._superseded(tx, standing, finding, actor, at))
            standing = None
        if standing is not None:
            known.put(self._follow(tx, standing, finding, actor, at))
        elif finding.state == "wrong" and (last is None or finding.window > _seen(last, finding.cause)):
            other = known.one_that(lambda alert: alert.state != RESOLVED and belongs(alert, finding))
            if other is None:
                known.put(self._open(tx, known, endpoint, model, finding, actor, at))
            else:
                known.put(self._join(tx, other, finding, actor, at))

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

    def _superseded(self, tx: Transaction, alert: Alert, finding: Finding, actor: str, at: str) -> Alert:
        """Another version serves: what was about the one before is over, all of it when that was its name."""
        if alert.cause == finding.cause:
            return self._move(tx, alert, RESOLVED, ALERT_RESOLVED, actor, f"version {finding.version} took over", at)
        calm = with_cause(alert, finding.cause, over=True)
        store.set_alert(tx, calm)
        return calm

    def _follow(self, tx: Transaction, alert: Alert, finding: Finding, actor: str, at: str) -> Alert:
        """One more window of a cause that is known: it goes on, or it is over, and with the last one the incident."""
        last = _seen(alert, finding.cause)
        if finding.state == "wait" or (finding.state == "well" and finding.window < last):
            return alert
        if finding.state == "well":
            changed = with_cause(alert, finding.cause, over=True)
            if all(each["over"] for each in causes_of(changed)):
                return self._move(tx, changed, RESOLVED, ALERT_RESOLVED, actor, finding.message, at)
        else:
            changed = seen_again(alert, finding, finding.window > last)
        if changed != alert:
            store.set_alert(tx, changed)
        if changed.state == OPEN and changed.details.get("windows", 1) > AGAIN_AFTER and finding.state == "wrong":
            message_store.post(tx, changed, AGAIN, store.seq_of(tx, alert.id), at)
        return changed

    def _join(self, tx: Transaction, alert: Alert, finding: Finding, actor: str, at: str) -> Alert:
        """A further cause of an incident: told as a fact; people are told when it is graver than what they know."""
        grown = joined(alert, finding)
        store.set_alert(tx, grown)
        body = {"alert": alert.id} | {name: getattr(alert, name) for name in TOLD}
        body |= {name: getattr(finding, name) for name in TOLD if hasattr(finding, name)} | {
            "last_window": finding.window
        }
        seq = self._ledger.append(tx, ALERT_GREW, subject_of(alert), actor, body).seq
        if grown.cause != alert.cause:
            message_store.post(tx, grown, GREW, seq, at)
        return grown

    def _open(
        self, tx: Transaction, known: Known, endpoint: str, model: str, finding: Finding, actor: str, at: str
    ) -> Alert:
        before = known.those_that(lambda alert: alert.state == RESOLVED and belongs(alert, finding))
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
            details=finding.details
            | {"windows": 1}
            | ({"related": [each.id for each in before[:5]]} if before else {}),
        )
        alert = with_commands(alert)
        store.add_alert(tx, alert, self._tell(tx, alert, ALERT_OPENED, actor, at))
        return alert

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


class Known:
    """The incidents of an endpoint, newest first, as they stand while its findings are settled."""

    def __init__(self, tx: Transaction, endpoint: str) -> None:
        self._tx = tx
        self._endpoint = endpoint
        self._alerts = {alert.id: alert for alert in reversed(store.alerts(tx, endpoint, "", RECENT, exact=True))}

    def newest(self, cause: str) -> Alert | None:
        """The last incident that had this cause, whatever its state."""
        found = self.one_that(lambda alert: cause_of(alert, cause) is not None)
        if found is None and len(self._alerts) >= RECENT:
            return store.newest_alert(self._tx, self._endpoint, cause)
        return found

    def one_that(self, wanted: Callable[[Alert], bool]) -> Alert | None:
        """The newest incident that is wanted."""
        return next(iter(self.those_that(wanted)), None)

    def those_that(self, wanted: Callable[[Alert], bool]) -> list[Alert]:
        """All that are wanted, newest first."""
        return [alert for alert in reversed(self._alerts.values()) if wanted(alert)]

    def put(self, alert: Alert) -> None:
        """Take note of an incident as it is now."""
        self._alerts[alert.id] = alert


def in_order(found: Sequence[Finding]) -> list[Finding]:
    """As they could be known; what does not say when, with the first of its window that does."""
    due: dict[str, str] = {}
    for finding in found:
        if finding.due:
            due[finding.window] = min(due.get(finding.window, finding.due), finding.due)
    return sorted(found, key=lambda finding: finding.due or due.get(finding.window, finding.window))


def _seen(alert: Alert, cause: str) -> str:
    """The last window in which an incident's cause was seen."""
    found = cause_of(alert, cause)
    return alert.last_window if found is None else str(found["last_window"])


def subject_of(alert: Alert) -> str:
    """What facts about an alert are about."""
    return f"endpoint:{alert.endpoint}" if alert.endpoint else "installation"


def _superseded(alert: Alert, model: str, finding: Finding) -> bool:
    """Whether a later version is bad too: that is an incident of its own, with a fact that policies see."""
    before = cause_of(alert, finding.cause) or {"version": alert.version}
    another = (alert.model, before["version"]) != (model, finding.version)
    later = finding.window > _seen(alert, finding.cause)
    return finding.cause == "performance" and finding.state == "wrong" and another and later

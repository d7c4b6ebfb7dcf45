"""What belongs to one incident. Pure rules.

A bad column and its drift are one incident; so is a drop of performance (measured or estimated) with what went wrong in
the same windows in the inputs of the same version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

import msgspec

from loopline.usecases.monitoring.model.alerts import Alert, Finding
from loopline.usecases.monitoring.model.explaining import effect, evidence

GRAVITY = ("performance", "errors", "silence", "estimate", "truth", "latency", "data_quality", "drift")
INPUTS, QUALITY, WORK = {"data_quality", "drift"}, {"performance", "estimate"}, {"latency", "errors"}
KEPT = ("also", "windows", "related", "blame")
LOOKED_UP = {
    "latency": "loopline monitor {endpoint}",
    "errors": "loopline monitor {endpoint}",
    "silence": "loopline endpoints {endpoint}",
    "truth": "loopline monitor {endpoint}",
    "monitor": "loopline monitor {endpoint}",
    "schedule": "loopline policies",
    "disk": "loopline room",
}
Cause = dict[str, Any]


def causes_of(alert: Alert) -> Iterator[Cause]:
    """All causes of an incident, the one it is named after first: cause, version, first_window, last_window, value,
    limit, message, `over` (it is well again), details."""
    yield {
        "cause": alert.cause,
        "version": alert.version,
        "first_window": alert.first_window,
        "last_window": alert.last_window,
        "value": alert.value,
        "limit": alert.limit,
        "message": alert.message,
        "over": bool(alert.details.get("over")),
        "details": alert.details,
    }
    yield from alert.details.get("also") or ()


def cause_of(alert: Alert, cause: str) -> Cause | None:
    """What an incident knows of one cause, or None."""
    return next((each for each in causes_of(alert) if each["cause"] == cause), None)


def belongs(alert: Alert, finding: Finding) -> bool:
    """Whether a finding is part of an incident that is named after something else."""
    return any(
        _related(each, finding)
        and each["first_window"] <= finding.window
        and finding.first_window <= each["last_window"]
        for each in causes_of(alert)
    )


def graver(cause: str, other: str) -> bool:
    """Whether an incident is rather named after `cause` than after `other`."""
    order = {name: place for place, name in enumerate(GRAVITY)}
    return order.get(cause, len(order)) < order.get(other, len(order))


def columns_of(details: Mapping[str, Any]) -> set[str]:
    """The columns that details speak of: `column`, or `columns` with names or maps that have a `name` or `column`."""
    found = {str(details["column"])} if details.get("column") else set()
    for each in details.get("columns") or ():
        name = (each.get("name") or each.get("column")) if isinstance(each, Mapping) else each
        found |= {str(name)} if name else set()
    return found


def with_cause(alert: Alert, cause: str, /, **changes: Any) -> Alert:
    """The incident with something changed of one of its causes."""
    if cause == alert.cause:
        over = changes.pop("over", None)
        details = alert.details if over is None else alert.details | {"over": over}
        return msgspec.structs.replace(alert, details=details, **changes)
    also = [each | changes if each["cause"] == cause else each for each in alert.details.get("also") or ()]
    return msgspec.structs.replace(alert, details=alert.details | {"also": also})


def seen_again(alert: Alert, finding: Finding, new: bool) -> Alert:
    """The incident after one more window of a known cause; `new` counts the window."""
    if finding.cause == alert.cause:
        kept = {name: value for name, value in alert.details.items() if name in KEPT}
        seen = {
            "value": finding.value,
            "limit": finding.limit,
            "message": finding.message,
            "last_window": finding.window,
        }
        changed = msgspec.structs.replace(alert, details=finding.details | kept | {"over": False}, **seen)
    else:
        before = cause_of(alert, finding.cause) or {}
        changed = with_cause(alert, finding.cause, **entry(finding) | {"first_window": before.get("first_window", "")})
    windows = int(alert.details.get("windows", 1)) + (new and finding.window > last_of(alert))
    return with_commands(msgspec.structs.replace(changed, details=changed.details | {"windows": windows}))


def joined(alert: Alert, finding: Finding) -> Alert:
    """The incident with a further cause; it is named after the gravest."""
    also = [each for each in alert.details.get("also") or () if each["cause"] != finding.cause]
    if not graver(finding.cause, alert.cause):
        return msgspec.structs.replace(alert, details=alert.details | {"also": [*also, entry(finding)]})
    own = {name: value for name, value in alert.details.items() if name not in KEPT}
    before = next(causes_of(alert)) | {"details": own}
    kept = {name: value for name, value in alert.details.items() if name in KEPT}
    return with_commands(
        msgspec.structs.replace(
            alert,
            cause=finding.cause,
            version=finding.version,
            first_window=min(alert.first_window, finding.first_window),
            last_window=finding.window,
            value=finding.value,
            limit=finding.limit,
            message=finding.message,
            details=finding.details | kept | {"over": False, "also": [before, *also]},
        )
    )


def entry(finding: Finding) -> Cause:
    """A finding as a cause of an incident."""
    return {
        "cause": finding.cause,
        "version": finding.version,
        "first_window": finding.first_window,
        "last_window": finding.window,
        "value": finding.value,
        "limit": finding.limit,
        "message": finding.message,
        "over": False,
        "details": finding.details,
    }


def last_of(alert: Alert) -> str:
    """The last window in which anything was wrong."""
    return max(str(each["last_window"]) for each in causes_of(alert))


def with_commands(alert: Alert) -> Alert:
    """The incident with its evidence in words and the commands that help most, exactly as they are run."""
    details = {**completed(alert), "commands": list(commands(alert))}
    said = evidence(details)
    return msgspec.structs.replace(alert, details=details | ({"evidence": said} if said else {}))


def completed(alert: Alert) -> dict[str, Any]:
    """The details with direction, effect, interval and share of truth, where an estimate or drift tells them otherwise."""
    details = dict(alert.details)
    if alert.cause == "estimate" and alert.value is not None:
        details["effect"] = f"estimated {effect(str(details.get('metric')), alert.value, None, alert.limit)}"
        details |= {"direction": "worse", "truth_share": details.get("share_arrived")}
        if details.get("low") is not None and details.get("high") is not None:
            details["interval"] = [details["low"], details["high"]]
    loud = [each for each in details.get("columns") or () if isinstance(each, Mapping)]
    if alert.cause == "drift" and loud:
        told = [f"{each.get('column')}: {each.get('change')}" for each in loud[:3] if each.get("change")]
        told += [f"{len(loud) - 3} more columns"] * (len(loud) > 3)
        details["effect"] = "; ".join(told) or details.get("effect")
        details["direction"] = loud[0].get("direction") or details.get("direction")
        details["p_value"] = loud[0].get("p_value")
    return details


def commands(alert: Alert) -> Iterator[str]:
    """What to run next, most helpful first."""
    endpoint = quote(alert.endpoint)
    if alert.cause in ("performance", "estimate", "drift", "data_quality"):
        if alert.cause in QUALITY:
            yield f"loopline blame {alert.id}"
        yield f"loopline report {endpoint} --start {alert.last_window[:10]}"
    elif alert.cause in LOOKED_UP:
        yield LOOKED_UP[alert.cause].format(endpoint=endpoint)
    if alert.cause in QUALITY | WORK and alert.version and alert.version > 1:
        yield f"loopline rollback {endpoint} --reason {quote(f'alert {alert.id}')}"
    if alert.cause == "channel":
        yield from (f"loopline channels --test {quote(str(key))}" for key in alert.details.get("channels") or ())
    yield from alert.details.get("run") or ()


def _related(one: Cause, finding: Finding) -> bool:
    kinds = {one["cause"], finding.cause}
    if kinds <= INPUTS:
        return bool(columns_of(one.get("details") or {}) & columns_of(finding.details))
    same_version = one["version"] == finding.version
    return same_version and bool(kinds & QUALITY) and kinds <= QUALITY | INPUTS

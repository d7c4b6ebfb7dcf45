"""Alerts, and what a window says about one cause of them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ALERT_OPENED = "alert.opened"
ALERT_ACKNOWLEDGED = "alert.acknowledged"
ALERT_GREW = "alert.grew"  # one more cause of the same incident
ALERT_RESOLVED = "alert.resolved"
ALERT_JUDGED = "alert.judged"
OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One incident: an endpoint, a cause, since which window, until which it was still seen.

    `cause`: performance, estimate, drift, data_quality, latency, errors, silence (no predictions), truth (none comes),
    monitor (it does not run), schedule (it stands still), channel (messages do not arrive) or disk; the last three are
    the installation's, with `endpoint` "". `value` against `limit` in the last window that showed it. `details` says
    more: `direction` (better or worse, higher or lower), `effect` (by how much, in words), `segments` (hit hardest),
    `truth_share`, `evidence` (p- and e-values), `cost` (likely, a window), `commands` (to run next), `windows` (how many
    showed it), `also` (other causes of the same incident). `verdict` is what people said of it afterwards: "real" or
    "false".
    """

    id: str
    endpoint: str
    cause: str
    state: str
    model: str
    version: int | None
    first_window: str
    last_window: str
    value: float | None
    limit: float | None
    message: str
    opened_at: str
    changed_at: str
    changed_by: str
    note: str = ""
    details: dict[str, Any] = {}
    verdict: str = ""
    judged_by: str = ""
    judged_at: str = ""


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """Of an endpoint's alerts, how many people judged and how many of these were real; `share` is None without any."""

    endpoint: str
    alerts: int
    judged: int
    real: int
    share: float | None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one window says about one cause: "wrong" (with enough windows in a row before it), "well", or "wait" (wrong,
    but not yet often enough). `first_window` is where the run of wrong windows begins; `version` served the window; `due`
    is when it could be known ("": when other findings of the window are)."""

    cause: str
    state: Literal["wrong", "well", "wait"]
    first_window: str
    window: str
    version: int | None
    value: float | None
    limit: float | None
    message: str
    details: dict[str, Any] = {}
    due: str = ""

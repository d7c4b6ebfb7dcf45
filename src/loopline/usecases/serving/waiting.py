"""Waiting for the data plane, and finding it."""

from __future__ import annotations

import fcntl
import json
import time
from pathlib import Path
from typing import Any

from loopline.core.errors import CheckFailed, Unavailable
from loopline.usecases.serving.model import FAILED, LIVE, RETIRED, Revision

POLL_S = 0.05
ADDRESS = Path("run") / "dataplane.json"
LOCK = Path("run") / "dataplane.lock"


def wait(serving: Any, name: str, number: int | None, timeout_s: float) -> Revision:
    """See `Serving.wait`."""
    deadline = time.monotonic() + timeout_s
    endpoint = serving.endpoint(name)
    wanted = number or endpoint.wanted or endpoint.live
    if wanted is None:
        raise Unavailable(f"Endpoint {name!r} has no deployment.", f"`loopline deploy {name} VERSION` asks for one.")
    while True:
        found: Revision = serving.revision(name, wanted)
        if found.status == LIVE:
            return found
        if found.status == FAILED:
            raise CheckFailed(f"Revision {wanted} of {name!r} failed: {found.reason}", "What was live goes on serving.")
        if found.status == RETIRED and found.live_at is None:
            raise CheckFailed(
                f"Revision {wanted} of {name!r} was overtaken before it was live.",
                f"`loopline endpoints {name}` shows what was asked for since.",
            )
        if time.monotonic() > deadline:
            raise Unavailable(
                f"Revision {wanted} of {name!r} is not live after {timeout_s:g} s.",
                "Is the data plane up? `loopline up`",
            )
        time.sleep(POLL_S)


def address(home: Path) -> dict[str, Any]:
    """The data plane that holds this installation's lock, as it announced itself: {"url": …, "pid": …}."""
    try:
        with open(home / LOCK, "rb") as lock:
            running = _is_locked(lock.fileno())
        found: dict[str, Any] = json.loads((home / ADDRESS).read_bytes())
    except (OSError, ValueError):
        running, found = False, {}
    if not running or "url" not in found:
        raise Unavailable("The data plane of this installation does not run.", "Start it with `loopline up`.")
    return found


def _is_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False

"""`GET /v1/endpoints/{name}/openapi.json`: the endpoint described for programs."""

from __future__ import annotations

from typing import Any

from loopline.core.verbs import Role
from loopline.shells.dataplane.answers import json_answer


def routes(name: bytes) -> list[tuple[bytes, bytes, Role, Any]]:
    """See `doors.routes`."""
    return [(b"/v1/endpoints/%b/openapi.json" % name, b"GET", Role.VIEWER, openapi)]


def openapi(app: Any, exchange: Any, served: Any) -> None:
    """What the live revision takes and answers."""
    from loopline.shells.dataplane.description import described

    live = served.present()
    contract = live.rows
    key = None if contract.key_at is None else contract.fields[contract.key_at]
    event_time = None if contract.event_at is None else contract.fields[contract.event_at]
    json_answer(
        exchange, described(served.name, live.signature, live.version, key, event_time, live.options, app.limits)
    )

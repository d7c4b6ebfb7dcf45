"""Files shown inside our own pages: pictures, sounds, and pages of strangers in a sandbox without scripts. No part of
MLflow's protocol; it stands here because these routes answer bytes."""

from __future__ import annotations

from typing import Any

from loopline.core import fields as read
from loopline.core.verbs import Caller, Role
from loopline.core.wires import Raw, Route

SANDBOX = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; font-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
HEADERS = {"Content-Security-Policy": SANDBOX, "X-Content-Type-Options": "nosniff", "Content-Disposition": "inline"}


def shown(tracking: Any, fields: dict[str, Any], caller: Caller) -> Raw:
    """A run's file as a browser may show it: in an origin of its own, where no script runs and nothing is fetched."""
    found, media_type = tracking.shown(read.required(fields, "run_id"), read.required(fields, "name"))
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return Raw(tracking.pieces(found), media_type + charset, HEADERS, found.size)


ROUTES = (Route("GET", "/runs/{run_id}/shown/{name:path}", Role.VIEWER, shown, large=True),)

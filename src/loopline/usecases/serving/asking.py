"""Asking a data plane over HTTP, on the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any
from urllib.parse import urlsplit

from loopline.core.errors import Invalid, LooplineError, NotFound, Refused, Unavailable

TIMEOUT_S = 60.0
KINDS: dict[int, type[LooplineError]] = {401: Refused, 403: Refused, 404: NotFound, 503: Unavailable}


def post(url: str, path: str, body: Any) -> dict[str, Any]:
    """Send JSON with the token in LOOPLINE_TOKEN; answers the JSON. Raises the kind of error that the status means."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{url!r} is not the address of a data plane.", "Write it as http://127.0.0.1:8401.")
    token = os.environ.get("LOOPLINE_TOKEN")
    if not token:
        raise Refused("Predictions and truth need a token.", "Set LOOPLINE_TOKEN; `loopline token new` makes one.")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    try:
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"No data plane answers at {url} ({error}).", "Start it with `loopline up`.") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise KINDS.get(answer.status, Invalid)(said.get("error", f"HTTP {answer.status}"), said.get("hint", ""))
    found: dict[str, Any] = said
    return found

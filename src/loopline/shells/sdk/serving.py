"""`loopline.endpoint("late-arrival")`: where its data plane is, and the token for it."""

from __future__ import annotations

import os
from pathlib import Path

from loopline.app.settings import find_home
from loopline.usecases.serving.client import TIMEOUT_S, Endpoint
from loopline.usecases.serving.connections import seen_from
from loopline.usecases.serving.waiting import address

__all__ = ["endpoint"]


def endpoint(
    name: str, *, url: str | None = None, token: str | None = None, home: str | Path | None = None,
    timeout: float = TIMEOUT_S, ca: str | Path | None = None,
) -> Endpoint:  # fmt: skip
    """The endpoint `name`, to be asked for predictions.

    `url` is the address of serving, LOOPLINE_SERVING_URL where not given; else the server in LOOPLINE_URL is asked for it,
    else it is that of the installation on this machine (`home`, or found as `connect()` finds it). `token`, or
    LOOPLINE_TOKEN, may be one that is limited to this endpoint. `timeout` is for one request with all its repetitions, in
    seconds. `ca` (or LOOPLINE_CA) is a file of certificates to trust.
    """
    secret = token or os.environ.get("LOOPLINE_TOKEN", "")
    trusted = str(ca) if ca else None
    return Endpoint(name, url or found(secret, home, trusted), secret, timeout=timeout, ca=trusted)


def found(token: str, home: str | Path | None = None, ca: str | None = None) -> str:
    """The address of serving, where none was given. Unavailable when nobody serves."""
    given = os.environ.get("LOOPLINE_SERVING_URL")
    if given and not home:
        return given
    server = None if home else os.environ.get("LOOPLINE_URL")
    if not server:
        return str(address(find_home(str(home) if home else None))["url"])
    from loopline.shells.sdk.remote import Remote

    asked = Remote(server, token or None, ca)
    try:
        return seen_from(server, asked.call("serving.address")["url"])
    finally:
        asked.close()

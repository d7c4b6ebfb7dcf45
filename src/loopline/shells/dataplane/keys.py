"""Tokens that are limited to some endpoints: for them, the others are not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopline.shells.dataplane.answers import Fault

OPEN = (b"/health", b"/v2", b"/v2/health/live", b"/v2/health/ready", b"/ping", b"/version")


def within(names: tuple[str, ...], path: bytes, find: Callable[[], Any]) -> Any:
    """The route that `find` answers, when it belongs to one of the endpoints `names` or tells of none. Anything else is
    refused in the words for an address that does not exist, whatever there is."""
    bare = path.split(b"?", 1)[0]
    own = _named(bare) in {name.encode() for name in names}
    try:
        role, call, arguments = find()
    except Fault as fault:
        raise (fault if own and fault.status != 404 else _nothing(names, path)) from None
    if arguments[0].name in names if arguments else bare in OPEN:
        return role, call, arguments
    raise _nothing(names, path)


def _named(path: bytes) -> bytes:
    """The endpoint that an address names: /v1/endpoints/NAME/…, /v2/models/NAME/…, /endpoints/NAME/…"""
    parts = path.split(b"/")
    place = 2 if parts[1:2] == [b"endpoints"] else 3
    return parts[place] if len(parts) > place else b""


def _nothing(names: tuple[str, ...], path: bytes) -> Fault:
    shown = path[:100].decode("ascii", "replace")
    return Fault(404, f"There is nothing at {shown}.", f"This token may ask the endpoints {', '.join(names)}.")

"""By which names this server may be called: a page of another site must not reach it through a name of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loopline.shells.dataplane.answers import Fault

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(rb"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::[0-9]{1,5})?\Z")
MOST_KNOWN = 256


class Hosts:
    """Loopback's names and those configured, each exactly; the port does not matter."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = {name.lower().encode() for name in (*LOOPBACK, *names)}
        self._known: dict[bytes, bool] = {}

    def check(self, header: bytes | None, old: bool) -> None:
        """Fault for a Host header that is missing (except in HTTP/1.0), damaged or not ours."""
        if header is None:
            if old:
                return
            raise Fault(400, "The request has no Host header.", "HTTP/1.1 needs one.")
        allowed = self._known.get(header)
        if allowed is None:
            allowed = self._allowed(header)
            if len(self._known) < MOST_KNOWN:
                self._known[header] = allowed
        if not allowed:
            raise Fault(
                400, "This server is not called by that name.", "Use localhost, or start it with --host-name NAME."
            )

    def _allowed(self, header: bytes) -> bool:
        match = _HOST.match(header.strip())
        return match is not None and match["name"].lower() in self._names

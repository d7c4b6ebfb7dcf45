"""The heads of requests that were read before: a client sends the same bytes again and again, but for the body.

Reading a head costs more than anything else that the router does for a small request. The same bytes at the beginning of
a message mean the same request, so what the parser made of them is kept and the parser is not asked again. Only heads
that leave nothing open are kept: a body of stated length, a connection that stays, a known caller. The caller is looked
up each time. A head is found by Python's keyed hash of all its bytes, which tells nobody how nearly a token was right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from loopline.shells.dataplane.exchange import Exchange

END = b"\r\n\r\n"
MOST = 1024
LONGEST = 1024


class Head(msgspec.Struct, eq=False):
    """What a head says. `token` is the key under which its caller is known; `length` that of the body in bytes."""

    method: bytes
    path: bytes
    headers: dict[bytes, bytes]
    length: int
    token: bytes


class Heads:
    """At most `MOST` of them; when there are more, all are forgotten."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, data: bytes) -> tuple[Head | None, int]:
        """The head with which `data` begins and where its body begins, when `data` is exactly one request."""
        start = data.find(END) + 4
        head = self._known.get(data[:start])
        if head is None or len(data) - start != head.length:
            return None, 0
        return head, start

    def keep(self, data: bytes, exchange: Exchange, token: bytes) -> None:
        """Remember the head of `data`, of which the parser made this one exchange."""
        headers = exchange.headers
        start = len(data) - len(exchange.body)
        if start > LONGEST or data.find(END) + 4 != start or exchange.old or not exchange.keep_alive:
            return
        if headers.get(b"content-length") != b"%d" % len(exchange.body) or b"expect" in headers:
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[data[:start]] = Head(exchange.method, exchange.path, headers, len(exchange.body), token)

"""A request and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline.core.verbs import Caller
from loopline.shells.dataplane.answers import JSON, OK_HEAD, Fault, answer, fault_body

if TYPE_CHECKING:
    from loopline.shells.dataplane.protocol import Connection


class Exchange(msgspec.Struct, eq=False):
    """One request and, once it is known, its answer. A structure, as it is made quicker than an object of Python's."""

    connection: Connection
    method: bytes
    path: bytes
    keep_alive: bool
    old: bool
    headers: dict[bytes, bytes] = {}  # those of app.wanted_headers, by their names in lower case
    body: bytes = b""
    caller: Caller | None = None
    started: int = 0  # on the performance counter, in ns
    complete: bool = False
    response: bytes | None = None
    form: tuple[bytes, bytes] | None = None  # content type and further headers of an answer that is not plain
    label: Any = None
    item: Any = None

    @property
    def gone(self) -> bool:
        """Whether the client has hung up: nobody would read the answer."""
        return self.connection.lost

    def ok(self, body: bytes) -> None:
        """Answer 200: the usual way. JSON unless `form` says otherwise."""
        connection = self.connection
        app = connection.app
        app.metrics.count(self.label, 200, self.started)
        if app.watch is not None:
            app.watch.answered(self, 200)
        if self.form is not None:
            kind, headers = self.form
            self.reply(200, body, headers, kind)
        elif self.old or not self.keep_alive or app.draining or self.method == b"HEAD":
            self.reply(200, body)
        else:
            self.response = OK_HEAD % len(body) + body
            connection.flush()

    def reply(self, status: int, body: bytes, headers: bytes = b"", kind: bytes = JSON) -> None:
        """Answer anything."""
        connection = self.connection
        if connection.app.draining and connection.queue and connection.queue[-1] is self:
            self.keep_alive = False
        if self.old and self.keep_alive:
            headers += b"connection: keep-alive\r\n"
        close, body_too = not self.keep_alive, self.method != b"HEAD"
        self.response = answer(status, body, kind=kind, headers=headers, close=close, body_too=body_too)
        connection.flush()

    def refuse(self, fault: Fault) -> None:
        """Answer a fault."""
        app = self.connection.app
        app.metrics.count(self.label, fault.status, self.started)
        if app.watch is not None:
            app.watch.answered(self, fault.status)
        self.reply(fault.status, fault_body(fault), fault.headers)

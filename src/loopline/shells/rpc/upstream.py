"""Asking the router: HTTP/1.1 over connections that are kept, one request at a time on each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httptools

MOST_IDLE = 256
ATTEMPTS = 2


class Lost(Exception):
    """The router took no connection, or closed one before it had answered."""


@dataclass(slots=True)
class Answer:
    """What the router answered; header names are lower-case."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Line(asyncio.Protocol):
    """One connection; the parser calls its on_… methods."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._body: list[bytes] = []
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: Any = None
        self.open = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._upstream.forget(self)
        self._fail()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_message_begin(self) -> None:
        self._answer, self._body = Answer(), []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.lower()] = value

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        answer, parser = self._answer, self._parser
        answer.status, answer.body = parser.get_status_code(), b"".join(self._body)
        waiting, self._waiting = self._waiting, None
        if waiting is None or not parser.should_keep_alive():
            self.close()
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def ask(self, request: bytes) -> Answer:
        """Send one request and wait for its answer. A caller that stops waiting ends the connection, which tells the
        router that nobody listens any more."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self._waiting = None
            self.close()
            raise

    def close(self) -> None:
        """End the connection; who still waits learns that it is lost."""
        self.open = False
        self._transport.abort()
        self._fail()

    def _fail(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(Lost("The router closed the connection."))


class Upstream:
    """The router, found at a unix socket's path or at (host, port)."""

    def __init__(self, place: str | tuple[str, int], ssl: Any = None) -> None:
        self._place = place
        self._ssl = ssl
        self._idle: list[Line] = []

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """The router's answer. Asked again once when the connection is lost, as predicting changes nothing; then Lost."""
        lines = [f"{method} {path} HTTP/1.1", "host: localhost", *(f"{name}: {text}" for name, text in headers.items())]
        head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("ascii")
        for left in reversed(range(ATTEMPTS)):
            try:
                line = await self._line(fresh=left < ATTEMPTS - 1)
                answer = await line.ask(head + body)
            except Lost:
                if not left:
                    raise
            else:
                if line.open:
                    self._keep(line)
                return answer
        raise Lost("The router does not answer.")

    def forget(self, line: Line) -> None:
        """A connection has ended."""
        if line in self._idle:
            self._idle.remove(line)

    def close(self) -> None:
        """End all connections that nobody uses."""
        for line in list(self._idle):
            line.close()
        self._idle.clear()

    def _keep(self, line: Line) -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(line)
        else:
            line.close()

    async def _line(self, fresh: bool) -> Line:
        while self._idle and not fresh:
            line = self._idle.pop()
            if line.open:
                return line
        loop = asyncio.get_running_loop()
        try:
            if isinstance(self._place, str):
                _, line = await loop.create_unix_connection(lambda: Line(self), self._place)
            else:
                _, line = await loop.create_connection(lambda: Line(self), *self._place, ssl=self._ssl)
        except OSError as error:
            raise Lost(f"The router cannot be reached ({error.strerror or error}).") from None
        return line

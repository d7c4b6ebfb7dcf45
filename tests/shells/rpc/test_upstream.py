"""How gRPC asks the router: kept connections, lost ones, callers that stop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loopline.shells.rpc.upstream import Answer, Lost, Upstream

pytestmark = pytest.mark.integration
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Router:
    """Counts connections and requests; `act(number)` says what becomes of a request."""

    def __init__(self, act: Callable[[int], str] = lambda number: "answer") -> None:
        self.act = act
        self.connections = 0
        self.requests: list[bytes] = []
        self.hung_up = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Router:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.place: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in self._writers:
            each.close()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        while True:
            head = await self._head(reader)
            if not head:
                self.hung_up.set()
                return
            self.requests.append(head)
            done = self.act(len(self.requests))
            if done == "close":
                writer.close()
                return
            if done == "wait":
                continue
            more = b"connection: close\r\n" if done == "last" else b""
            writer.write(b"HTTP/1.1 200 OK\r\nX-More: yes\r\n%bcontent-length: 2\r\n\r\nok" % more)

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.rpartition(b"content-length: ")[2])
            return head + await reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            return b""


def asked(story: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(story(), 30))  # type: ignore[arg-type]


def test_connections_are_kept() -> None:
    async def story() -> None:
        async with Router() as router:
            upstream = Upstream(router.place)
            for _ in range(5):
                answer = await upstream.ask("POST", "/here", {"authorization": "Bearer x"}, b"body")
                assert (answer.status, answer.body, answer.headers[b"x-more"]) == (200, b"ok", b"yes")
            assert router.connections == 1
            await asyncio.gather(*(upstream.ask("GET", "/", {}) for _ in range(8)))
            assert router.connections <= 8
            assert router.requests[0].startswith(
                b"POST /here HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n"
            )
            assert router.requests[0].endswith(b"content-length: 4\r\n\r\nbody")
            upstream.close()

    asked(story)


def test_a_lost_connection_is_made_anew_once() -> None:
    async def story() -> None:
        async with Router(
            lambda number: "close" if number in (2, 4, 5) else "last" if number == 6 else "answer"
        ) as router:
            upstream = Upstream(router.place)
            for _ in range(2):
                assert (await upstream.ask("GET", "/", {})).status == 200
            assert (router.connections, len(router.requests)) == (2, 3)
            with pytest.raises(Lost):
                await upstream.ask("GET", "/", {})
            for _ in range(2):  # the first of them says that it is the last of its connection
                assert (await upstream.ask("GET", "/", {})).status == 200
            assert router.connections == 5
            upstream.close()

    asked(story)


def test_a_caller_that_stops_waiting_hangs_up() -> None:
    async def story() -> None:
        async with Router(lambda number: "wait" if number == 1 else "answer") as router:
            upstream = Upstream(router.place)
            waiting = asyncio.create_task(upstream.ask("GET", "/", {}))
            while not router.requests:
                await asyncio.sleep(0.001)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await router.hung_up.wait()
            assert (await upstream.ask("GET", "/", {})).status == 200
            upstream.close()

    asked(story)


def test_nobody_there() -> None:
    async def story() -> Answer:
        return await Upstream("/nowhere/router.sock").ask("GET", "/", {})

    with pytest.raises(Lost):
        asked(story)

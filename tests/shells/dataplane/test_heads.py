"""A head whose bytes were read before is not read again; the caller is looked up all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.core.verbs import Caller, Role
from loopline.shells.dataplane.application import Application
from loopline.shells.dataplane.heads import MOST
from loopline.shells.dataplane.hosts import Hosts
from loopline.shells.dataplane.limits import Limits
from loopline.shells.dataplane.protocol import Connection

pytestmark = pytest.mark.unit


class Transport:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Parser:
    """Counts what the real one is given."""

    def __init__(self, real: Any) -> None:
        self.real, self.fed = real, 0

    def feed_data(self, data: bytes) -> None:
        self.fed += 1
        self.real.feed_data(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Side:
    """An application with one connection, and the bodies that its only address was asked with."""

    def __init__(self, home: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.caller: Caller | None = Caller("x", Role.ADMIN)
        self.app = Application(self.loop, home, lambda secret: self.caller, Hosts(), Limits(), "none:none")
        self.bodies: list[bytes] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.app._routes[b"/x"] = {b"POST": ("POST", Role.VIEWER, self.answer, ())}
        self.connection, self.transport = Connection(self.app), Transport()
        self.connection.connection_made(self.transport)
        self.parser = self.connection._parser = Parser(self.connection._parser)

    def answer(self, exchange: Any) -> None:
        self.bodies.append(exchange.body)
        self.headers.append(dict(exchange.headers))
        exchange.ok(b"{}")

    def ask(self, data: bytes) -> int:
        """How often the parser was asked for that."""
        before, answers = self.parser.fed, len(self.transport.written)
        self.connection.data_received(data)
        while len(self.transport.written) == answers:
            self.loop.run_until_complete(asyncio.sleep(0.001))
        return self.parser.fed - before

    def close(self) -> None:
        for executor in (self.app.writing, self.app.intake, self.app.asking):
            executor.shutdown()
        self.loop.close()


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    made = Side(tmp_path)
    yield made
    made.close()


def request(body: bytes = b"{}", more: bytes = b"", length: int | None = None) -> bytes:
    count = len(body) if length is None else length
    return (
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t\r\n%bContent-Length: %d\r\n\r\n%b"
        % (more, count, body)
    )  # fmt: skip


def test_the_second_reading_is_saved(side: Side) -> None:
    assert side.ask(request(b"11")) == 1  # nobody knows the token yet
    assert side.ask(request(b"22")) == 1
    assert side.ask(request(b"33")) == 0
    assert side.bodies == [b"11", b"22", b"33"]
    assert len(set(side.transport.written)) == 1


def test_a_token_that_is_known_no_more_is_asked_for_again(side: Side) -> None:
    for _ in range(3):
        side.ask(request())
    side.app.tokens.forget()
    side.caller = None
    assert side.ask(request()) == 1
    assert b" 401 " in side.transport.written[-1]
    assert len(side.bodies) == 3


def test_another_head_is_read(side: Side) -> None:
    for _ in range(3):
        side.ask(request())
    assert side.ask(request(more=b"Accept: x\r\n")) == 1
    assert side.ask(request(b"[1]")) == 1
    assert side.ask(request().replace(b"localhost", b"elsewhere")) == 1
    assert b" 400 " in side.transport.written[-1]


def test_a_part_of_a_request_and_two_at_once_are_read(side: Side) -> None:
    for _ in range(3):
        side.ask(request(b"[1,2]"))
    whole = request(b"[3,4]")
    side.connection.data_received(whole[:-2])
    assert side.ask(whole[-2:]) == 1
    assert side.bodies[-1] == b"[3,4]"
    side.connection.data_received(whole + request(b"[5,6]"))
    assert side.bodies[-2:] == [b"[3,4]", b"[5,6]"]
    assert side.ask(request(b"[7,8]")) == 0  # the parser stands between two requests


@pytest.mark.parametrize(
    "more", [b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"X: " + b"x" * 2000 + b"\r\n"]
)
def test_what_leaves_something_open_is_not_kept(side: Side, more: bytes) -> None:
    side.ask(request())
    side.connection.data_received(request(more=more))
    side.loop.run_until_complete(asyncio.sleep(0))
    assert list(side.app.heads._known) == []


def test_a_header_that_is_wanted_from_now_on_is_read(side: Side) -> None:
    same = request(more=b"Customer: ann\r\n")
    for _ in range(3):
        side.ask(same)
    assert b"customer" not in side.headers[-1]
    side.app.want_header(b"customer")
    assert side.ask(same) == 1
    assert side.headers[-1][b"customer"] == b"ann"
    assert side.ask(same) == 0
    assert side.headers[-1][b"customer"] == b"ann"


MORE = st.sampled_from([b"", b"Accept: a\r\n", b"Accept: b\r\n", b"Content-Type: application/json\r\n", b"X: \r\n"])
BODY = st.sampled_from([b"{}", b"[]", b"", b"\r\n\r\n", b"POST /x HTTP/1.1\r\n\r\n"])
PIECES = st.lists(st.tuples(MORE, BODY, st.integers(0, 200)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PIECES)
def test_what_is_read_does_not_depend_on_what_was_read_before(tmp_path: Path, pieces: list[Any]) -> None:
    """The same bytes, cut and joined at random places, through a connection that remembers and one that does not."""
    sent, waiting = [], b""
    for more, body, cut in pieces:
        waiting += request(body, more)
        part, waiting = (waiting, b"") if cut > 150 else (waiting[:cut], waiting[cut:])
        sent.append(part)
    found = [read(tmp_path, [*sent, waiting], remember) for remember in (True, False)]
    assert found[0] == found[1]
    assert len(found[0][0]) == len(pieces)


def read(home: Path, sent: list[bytes], remember: bool) -> tuple[list[bytes], list[dict[bytes, bytes]]]:
    """Bodies and headers that the address was asked with."""
    side = Side(home)
    try:
        side.ask(request(b"first"))  # from here on the caller is known
        if not remember:
            side.app.heads.keep = lambda *_: None  # type: ignore[method-assign]
        for part in sent:
            if part:
                side.connection.data_received(part)
        return side.bodies[1:], side.headers[1:]
    finally:
        side.close()


def test_how_many_are_kept(side: Side) -> None:
    side.ask(request())
    for number in range(MOST + 10):
        side.ask(request(more=b"X: %d\r\n" % number))
    assert 0 < len(side.app.heads._known) <= MOST

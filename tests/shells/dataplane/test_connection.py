"""Slow and stuck clients, and a full house, on the state machine alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loopline.core.verbs import Caller, Role
from loopline.shells.dataplane.application import Application
from loopline.shells.dataplane.hosts import Hosts
from loopline.shells.dataplane.limits import Limits
from loopline.shells.dataplane.protocol import Connection

pytestmark = pytest.mark.unit

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = self.paused = self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    loop = asyncio.new_event_loop()
    limits = replace(Limits(), connections=3, pipelined=4)
    made = Application(loop, tmp_path, lambda secret: Caller("x", Role.ADMIN), Hosts(), limits, "none:none")
    yield made
    for executor in (made.writing, made.intake, made.asking):
        executor.shutdown()
    loop.close()


def joined(app: Application) -> tuple[Connection, Transport]:
    connection, transport = Connection(app), Transport()
    connection.connection_made(transport)
    return connection, transport


def at(app: Application, connection: Connection, seconds: float) -> None:
    app.now += seconds
    connection.expired(app.now)


def test_a_head_that_does_not_end(app: Application) -> None:
    connection, transport = joined(app)
    connection.data_received(HEALTH[:20])
    at(app, connection, 9)
    connection.data_received(HEALTH[20:25])
    assert not transport.closed
    at(app, connection, 2)
    assert b" 408 " in transport.written
    assert transport.closed


def test_a_body_that_does_not_come(app: Application) -> None:
    connection, transport = joined(app)
    connection.data_received(HEALTH.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"))
    at(app, connection, 29)
    assert transport.written == b""
    at(app, connection, 2)
    assert b" 408 " in transport.written


def test_a_connection_that_says_nothing(app: Application) -> None:
    connection, transport = joined(app)
    at(app, connection, 11)
    assert (transport.closed, transport.written) == (True, b"")


def test_a_kept_connection_may_be_idle_for_a_while(app: Application) -> None:
    connection, transport = joined(app)
    connection.data_received(HEALTH)
    at(app, connection, 70)
    assert not transport.closed
    at(app, connection, 10)
    assert transport.closed


def test_a_client_that_does_not_read(app: Application) -> None:
    connection, transport = joined(app)
    connection.data_received(HEALTH)
    connection.pause_writing()
    assert transport.paused
    at(app, connection, 20)
    assert not transport.aborted
    at(app, connection, 20)
    assert transport.aborted


def test_a_client_that_reads_again(app: Application) -> None:
    connection, transport = joined(app)
    connection.pause_writing()
    connection.resume_writing()
    assert not transport.paused


def test_a_full_house(app: Application) -> None:
    everyone = [joined(app) for _ in range(4)]
    assert [b" 429 " in transport.written for _, transport in everyone] == [False, False, False, True]
    everyone[0][0].connection_lost(None)
    everyone[3][0].connection_lost(None)
    _, late = joined(app)
    assert late.written == b""


def test_a_client_that_runs_far_ahead_waits(app: Application) -> None:
    connection, transport = joined(app)
    connection.data_received(
        HEALTH.replace(b"/health", b"/v2").replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer x\r\n\r\n")
    )
    assert transport.paused  # until it is known who asks


def test_draining_says_that_the_connection_closes(app: Application) -> None:
    connection, transport = joined(app)
    app.draining = True
    connection.data_received(HEALTH)
    assert b"connection: close" in transport.written
    assert transport.closed

"""Real receivers of messages on this machine: a mail server and a sink of webhooks."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Received:
    """What arrived, in order; other threads may look while it comes in. `refuse` makes the receiver refuse all."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.refuse = False
        self._kept: list[Any] = []
        self._changed = threading.Condition()

    def add(self, one: Any) -> None:
        """Keep what came."""
        with self._changed:
            self._kept.append(one)
            self._changed.notify_all()

    def all(self) -> list[Any]:
        """All so far."""
        with self._changed:
            return list(self._kept)

    def wait(self, count: int, seconds: float = 60.0) -> list[Any]:
        """All, once there are `count`, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._kept) >= count, seconds)
            return list(self._kept)


@contextmanager
def mail_server(port: int = 0) -> Iterator[Received]:
    """An SMTP server without encryption; what arrives are `email.message.EmailMessage`s. Needs aiosmtpd."""
    from aiosmtpd.controller import Controller

    received = Received(port or free_port())

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  (aiosmtpd's name)
            if received.refuse:
                return "451 try again later"
            received.add(email.message_from_bytes(envelope.content, policy=email.policy.default))
            return "250 taken"

    controller = Controller(Handler(), hostname="127.0.0.1", port=received.port)
    controller.start()
    try:
        yield received
    finally:
        controller.stop()


@contextmanager
def webhook_sink(port: int = 0) -> Iterator[Received]:
    """An HTTP server that takes any POST; what arrives are maps with `path`, `headers` and the JSON `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not received.refuse:
                headers = {name.lower(): value for name, value in self.headers.items()}
                received.add({"path": self.path, "headers": headers, "body": json.loads(body or b"null")})
            self.send_response(503 if received.refuse else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    received = Received(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])

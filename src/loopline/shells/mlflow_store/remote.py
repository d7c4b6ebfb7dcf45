"""A Loopline server, over one kept connection a thread: msgspec and the standard library alone."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from loopline.app.wiring import verb_named
from loopline.core.errors import KINDS, Invalid, LooplineError, Unavailable
from loopline.core.wires import Coded
from loopline.shells.mlflow_store.backends import ARTIFACTS

TIMEOUT_S = 60.0
PIECE = 1 << 20
FRESH_S = 1.0  # how long a run that was seen alive is taken to be so, unless this process deletes it
_decode = msgspec.json.Decoder().decode


class Wire:
    """One connection a thread (and process), reopened when the server closed it."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"{url!r} is not the address of a server.", "Write it as loopline+http://127.0.0.1:8400.")
        self._kind: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if parts.scheme == "https":
            from loopline.kit.tls import Unusable, trusting

            try:
                self._kind = partial(http.client.HTTPSConnection, context=trusting())
            except Unusable as error:
                raise Invalid(str(error), "Name a file of certificates in LOOPLINE_CA.") from None
        self.url, self._base = url, parts.path.rstrip("/")
        self._host, self._port = parts.hostname, parts.port
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._local = threading.local()

    def connection(self) -> http.client.HTTPConnection:
        """This thread's connection."""
        if getattr(self._local, "owner", 0) != os.getpid():
            self._local.connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
            self._local.owner = os.getpid()
        found: http.client.HTTPConnection = self._local.connection
        if found.sock is not None and select.select([found.sock], [], [], 0)[0]:  # the server has closed it meanwhile
            found.close()
        return found

    def asked(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        """The answer to a request, not yet read. Raises Unavailable when nobody answers."""
        connection = self.connection()
        try:
            connection.request(method, self._base + path, body, {**self.headers, **headers})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unavailable(f"No server answers at {self.url} ({error}).", "Start it with `loopline up`.") from None

    def data(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The plain data of an answer; its error raised."""
        answer = self.asked(method, path, body, **headers)
        try:
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection().close()
            raise Unavailable(f"The answer of {self.url} broke off ({error}).", "Try again.") from None
        try:
            found = _decode(content) if content else {}
        except msgspec.DecodeError:
            raise Unavailable(f"What answers at {self.url} is not Loopline.", "Check the address.") from None
        if answer.status >= 400:
            raise refusal(answer.status, found)
        return found


def refusal(status: int, found: Any) -> LooplineError:
    """The error in an answer, of MLflow's protocol or of the native one."""
    found = found if isinstance(found, dict) else {}
    message = str(found.get("message") or f"The server answered {status}.")
    if "error_code" in found:
        return Coded(Invalid(message), str(found["error_code"]))
    return KINDS.get(str(found.get("error")), Unavailable)(message, str(found.get("hint", "")))


class Verbs:
    """The verbs of a server, as deliveries use them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.target = wire.url

    def call(self, name: str, /, **fields: Any) -> Any:
        """Do the verb `name`. Raises a LooplineError."""
        verb = verb_named(name)
        path = verb.path
        for key in [key for key in fields if f"{{{key}}}" in path]:
            path = path.replace(f"{{{key}}}", quote(str(fields.pop(key)), safe=""))
        body = msgspec.json.encode(fields)
        return self._wire.data(verb.method, f"/api/v1{path}", body, **{"Content-Type": "application/json"})


class Remote:
    """See `Backend`."""

    def __init__(self, url: str, token: str | None) -> None:
        if token is not None and not (token.isascii() and token.isprintable()):
            raise Invalid("The token holds characters that no token has.", "Look at MLFLOW_TRACKING_TOKEN.")
        self.url = self.target = url
        self._wire = Wire(url, token)
        self.client = Verbs(self._wire)

    def answer(self, method: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        if method == "GET":
            given = {name: worded(value) for name, value in fields.items()}
            query = urlencode(given, doseq=True)
            found: dict[str, Any] = self._wire.data("GET", f"{path}?{query}" if query else path)
            return found
        body = msgspec.json.encode(fields)
        answer: dict[str, Any] = self._wire.data(method, path, body, **{"Content-Type": "application/json"})
        return answer

    def changed(self) -> float:
        return time.monotonic() // FRESH_S

    def put(self, path: str, file: Path) -> None:
        with open(file, "rb") as content:
            size = {"Content-Length": str(os.fstat(content.fileno()).st_size)}
            kind = {"Content-Type": "application/octet-stream"}
            self._wire.data("PUT", f"{ARTIFACTS}/{quote(path)}", content, **kind, **size)

    def fetch(self, path: str) -> Iterator[bytes]:
        answer = self._wire.asked("GET", f"{ARTIFACTS}/{quote(path)}")
        if answer.status >= 400:
            content = answer.read()
            with contextlib.suppress(msgspec.DecodeError):
                raise refusal(answer.status, _decode(content))
            raise Unavailable(f"The server answered {answer.status}.")
        return pieces(answer)

    def send(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        answer = self._wire.asked("POST", path, content, **headers)
        said = answer.read()
        if answer.status >= 400:
            with contextlib.suppress(msgspec.DecodeError):
                raise refusal(answer.status, _decode(said))
            raise Unavailable(f"The server answered {answer.status}.")

    def close(self) -> None:
        """In a forked child connections belong to the parent; each thread opens its own anew."""


def pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """An answer's body as it comes."""
    while piece := answer.read(PIECE):
        yield piece


def worded(value: Any) -> Any:
    """A value as a query carries it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return [worded(one) for one in value] if isinstance(value, list) else value

"""Calls of MLflow's REST API over connections that stay open."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

from loopline import __version__
from loopline.core.errors import Invalid, LooplineError, NotFound, Refused, Unavailable

T = TypeVar("T")
API = "/api/2.0/mlflow"
TIMEOUT_S = 60.0
LARGEST_JSON = 1 << 30
PIECE = 1 << 20
AT_ONCE = 4
TRIES = 3


class Caller:
    """A server that speaks MLflow's protocol. Each thread has a connection of its own.

    Who we are comes from the address, or from MLFLOW_TRACKING_TOKEN, or from MLFLOW_TRACKING_USERNAME and _PASSWORD.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"{address!r} is no address of a server.", "Write it as http://host:port.")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._root = parts.path.rstrip("/")
        self._headers = {"User-Agent": f"loopline/{__version__}", **who(parts.username, parts.password)}
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []
        port = f":{parts.port}" if parts.port else ""
        self.name = f"{parts.scheme}://{parts.hostname}{port}{self._root}"

    def get(self, path: str, query: Sequence[tuple[str, Any]] = ()) -> dict[str, Any]:
        """What GET answers, as JSON. A path that begins with a slash stands alone."""
        return self._json("GET", f"{self._path(path)}{'?' if query else ''}{urlencode(query)}", None)

    def post(self, path: str, body: Mapping[str, Any], method: str = "POST") -> dict[str, Any]:
        """What POST (PATCH, DELETE) answers to a JSON body."""
        return self._json(method, self._path(path), json.dumps(body).encode())

    def says(self, path: str) -> str:
        """The beginning of what GET answers, as text."""
        answer = self._asked("GET", self._path(path), None, {})
        said = answer.read(1000).decode(errors="replace")
        answer.read()
        return said.strip()

    def fetch(self, path: str, target: Path, query: Sequence[tuple[str, Any]] = ()) -> None:
        """Write what GET answers into a file, in pieces."""
        full = f"{self._path(path)}{'?' if query else ''}{urlencode(query)}"
        answer = self._asked("GET", full, None, {})
        with target.open("wb") as file:
            try:
                while piece := answer.read(PIECE):
                    file.write(piece)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise Unavailable(f"{self.name} broke off ({error}).", "Try again.") from None

    def send(self, path: str, source: Path) -> None:
        """PUT a file, in pieces."""
        size = str(source.stat().st_size)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": size}
        self._asked("PUT", self._path(path), source, headers).read()

    def check(self) -> None:
        """See that it is there and lets us in; the connection is closed when not."""
        try:
            self.post("experiments/search", {"max_results": 1})
        except LooplineError:
            self.close()
            raise

    def each(self, call: Callable[[Any], T], items: Sequence[Any]) -> Iterator[T]:
        """`call` of each item in order, some at a time."""
        from concurrent.futures import ThreadPoolExecutor

        if len(items) < 2:
            yield from map(call, items)
            return
        with ThreadPoolExecutor(AT_ONCE, "loopline-import") as pool:
            yield from pool.map(call, items)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            connection.close()

    def _path(self, path: str) -> str:
        return f"{self._root}{path}" if path.startswith("/") else f"{self._root}{API}/{path}"

    def _json(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = self._asked(method, path, body, headers).read(LARGEST_JSON)
        try:
            found = json.loads(content or b"{}")
        except (ValueError, RecursionError):
            raise Unavailable(f"{self.name} answers no JSON.", "See that this is an MLflow server.") from None
        return found if isinstance(found, dict) else {}

    def _asked(
        self, method: str, path: str, body: bytes | Path | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        for last in range(TRIES):
            try:
                answer = self._tried(method, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if last == TRIES - 1:
                    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
                    raise Unavailable(f"{self.name} does not answer ({reason}).", "See that it runs.") from None
                continue
            if answer.status < 300:
                return answer
            raise self._refusal(answer, path)
        raise Unavailable(f"{self.name} does not answer.", "See that it runs.")

    def _tried(
        self, method: str, path: str, body: bytes | Path | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        connection = self._connection()
        if isinstance(body, Path):
            with body.open("rb") as file:
                connection.request(method, path, file, {**self._headers, **headers})
        else:
            connection.request(method, path, body, {**self._headers, **headers})
        return connection.getresponse()

    def _refusal(self, answer: http.client.HTTPResponse, path: str) -> LooplineError:
        content = answer.read(1 << 16)
        try:
            message = str(json.loads(content)["message"])[:500]
        except (ValueError, KeyError, TypeError):
            message = f"it answers {answer.status} to {path[:100]}"
        text = f"{self.name}: {message}"
        if answer.status in (401, 403):
            return Refused(text, "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD.")
        if answer.status in (404, 405, 501):
            return NotFound(text, "")
        return Unavailable(text, "Try again later.") if answer.status >= 500 else Invalid(text, "")

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            if self._secure:
                context = ssl.create_default_context()
                found = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=context)
            else:
                found = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
            found.connect()
            found.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._local.connection = found
            self._open.append(found)
        return found

    def _drop(self) -> None:
        found = getattr(self._local, "connection", None)
        if found is not None:
            found.close()
            self._open.remove(found)
            self._local.connection = None


def who(user: str | None, password: str | None) -> dict[str, str]:
    """The header that says who asks."""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    user = unquote(user) if user else os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    if user:
        secret = unquote(password) if password else os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def part(text: str) -> str:
    """A name as one or several pieces of a path."""
    return quote(text, safe="/")

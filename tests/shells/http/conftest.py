"""An application without a network: requests are ASGI calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loopline.app.wiring import Loopline
from loopline.core.verbs import Role
from loopline.shells.http.control import application, host_names
from loopline.testing.factories import installation


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return msgspec.json.decode(self.body)


class Asker:
    """Sends requests to the application as one caller."""

    def __init__(self, app: Any, token: str | None = None) -> None:
        self._app = app
        self._token = token

    def __call__(self, method: str, path: str, data: Any = None, **more: Any) -> Answer:
        headers = {"host": "127.0.0.1:8400"} | dict(more.get("headers") or {})
        if self._token and "cookie" not in headers:
            headers["authorization"] = f"Bearer {self._token}"
        body = data if isinstance(data, bytes) else b"" if data is None else msgspec.json.encode(data)
        if body and "content-type" not in headers:
            headers["content-type"] = "application/json"
        return asyncio.run(self._ask(method, path, body, headers))

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        bare, _, query = path.partition("?")
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http",
            "method": method,
            "path": bare,
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 8400),
            "client": ("127.0.0.1", 50000),
            "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        }
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start = sent[0]
        found = {key.decode(): value.decode() for key, value in start.get("headers", ())}
        return Answer(start["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture(scope="module")
def loopline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopline]:
    folder: Path = tmp_path_factory.mktemp("http")
    with installation(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def app(loopline: Loopline) -> Any:
    return application(loopline, host_names("127.0.0.1", 8400))


@pytest.fixture(scope="module")
def askers(loopline: Loopline, app: Any) -> dict[Role, Asker]:
    """One asker a role."""
    made = {}
    for role in Role:
        made[role] = Asker(app, loopline.access.new(f"a-{role.name.lower()}", role.name.lower(), "test").secret)
    return made


@pytest.fixture
def ask(askers: dict[Role, Asker]) -> Asker:
    return askers[Role.ADMIN]


@pytest.fixture
def stranger(app: Any) -> Asker:
    return Asker(app)

"""A router in its own process on a real installation, and a small client for it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dataplane_doubles import ROW, open_double

from loopline.core.errors import LooplineError, NotFound

HERE = Path(__file__).parent
TOKEN = "loop_a-token-of-this-test-0123456789"


class Router:
    """The process, its installation and a small client."""

    def __init__(self, home: Path, versions: list[list[Any]]) -> None:
        self.home = home
        self.opened = open_double(home)
        self.describe(versions)
        self.opened.access.first(TOKEN)
        self.serving = self.opened.serving
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def describe(self, versions: list[list[Any]]) -> None:
        (self.home / "versions.json").write_text(json.dumps(versions))

    def start(self, *more: str) -> Router:
        handle = self.listener.fileno()
        command = [sys.executable, "-m", "loopline.shells.dataplane", "--home", str(self.home), "--fd", str(handle)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        }
        log = open(self.home / "logs" / "data-plane.log", "ab")  # noqa: SIM115
        with log:
            self.process = subprocess.Popen(
                [*command, "--installation", "dataplane_doubles:open_double", *more],
                pass_fds=[handle], env=environment, stderr=log, stdout=log,
            )  # fmt: skip
        return self

    def stop(self, patience: float = 60.0) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(patience)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.listener.close()
        self.opened.close()

    def deploy(self, version: int, endpoint: str = "late") -> Any:
        made = self.serving.deploy(endpoint, version, "tester", "flights")
        return self.serving.wait(endpoint, made.revision, 20)

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = TOKEN, **headers: str
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **headers,
        }
        try:
            connection.request(method, path, content, given)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(said) if answer.headers[
            "content-type"
        ] == "application/json" else said.decode()

    def predict(self, *rows: dict[str, Any], endpoint: str = "late") -> tuple[int, Any]:
        return self.ask("POST", f"/v1/endpoints/{endpoint}/predict", {"rows": list(rows) or [ROW]})

    def until(self, condition: Callable[[], Any], patience: float = 60.0) -> None:
        """Wait for something that will be so soon."""
        deadline = time.monotonic() + patience
        while True:
            try:
                if condition():
                    return
            except (OSError, LooplineError):
                pass
            if time.monotonic() > deadline:
                raise AssertionError("it never came to be")
            time.sleep(0.02)

    def logged(self, endpoint: str = "late", at_least: int = 0, patience: float = 60.0) -> Any:
        until = time.monotonic() + patience
        while True:
            table = self.serving.read_predictions(endpoint)
            if table.num_rows >= at_least or time.monotonic() > until:
                return table
            time.sleep(0.02)

    def record(self, name: str, patience: float = 60.0) -> Any:
        """The logged record of a prediction, as soon as it is on disk."""
        until = time.monotonic() + patience
        while True:
            try:
                return self.serving.find_prediction(name)
            except NotFound:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def log_text(self) -> str:
        return (self.home / "logs" / "data-plane.log").read_text()

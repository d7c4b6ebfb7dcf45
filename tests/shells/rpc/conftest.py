"""A router with the gRPC process beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "dataplane"))

from dataplane_router import TOKEN, Router

from loopline.shells.rpc.messages import MESSAGES, SERVICE, message


class Rpc:
    """The process, and a small client for it."""

    def __init__(self, router: Router, *more: str) -> None:
        self.router = router
        command = [sys.executable, "-m", "loopline.shells.rpc", "--home", str(router.home), "--port", "0"]
        self.log = router.home / "logs" / "grpc.log"
        at = ["--router", f"http://127.0.0.1:{router.port}"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*command, *at, *more], stderr=log, stdout=log, env=dict(os.environ))
        self.address = self._address()
        self.channel = grpc.insecure_channel(self.address)

    def call(
        self, name: str, request: Any = None, token: str | None = TOKEN, timeout: float = 20, **metadata: str
    ) -> Any:
        given = [("authorization", f"Bearer {token}")] if token else []
        reply = message(f"{name}Response") if f"{name}Response" in MESSAGES else None
        asked = self.channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=lambda each: each.SerializeToString(),
            response_deserializer=reply.FromString if reply else None,
        )
        return asked(request or message("ServerLiveRequest")(), timeout=timeout, metadata=[*given, *metadata.items()])

    def close(self) -> None:
        self.channel.close()
        self.process.terminate()
        self.process.wait(15)

    def _address(self) -> str:
        until = time.monotonic() + 30
        while "gRPC: " not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until
            time.sleep(0.02)
        return self.log.read_text().split("gRPC: ")[1].split("\n")[0]


@pytest.fixture(scope="module")
def rpc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpc]:
    """Version 1 of the doubles live at `late`: 100 plus the row's dep_hour; it refuses negative hours."""
    router = Router(tmp_path_factory.mktemp("rpc") / "home", [["picky", 100.0], ["explains", 100.0], ["slow", 100.0]])
    router.start()
    router.deploy(1)
    router.deploy(2, "told")
    router.deploy(3, "slow")
    made = Rpc(router)
    yield made
    made.close()
    router.close()

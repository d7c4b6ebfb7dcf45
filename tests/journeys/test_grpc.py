"""gRPC beside the other processes of `loopline up`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from loopline.shells.rpc.messages import SERVICE, message

pytestmark = pytest.mark.journey


def live(address: str) -> bool:
    """Whether it answers that it is live; calls wait for a connection."""
    with grpc.insecure_channel(address) as channel:
        asked = channel.unary_unary(
            f"/{SERVICE}/ServerLive",
            request_serializer=message("ServerLiveRequest").SerializeToString,
            response_deserializer=message("ServerLiveResponse").FromString,
        )
        return bool(asked(message("ServerLiveRequest")(), timeout=20, wait_for_ready=True).live)


def child(server: Any, module: str) -> psutil.Process | None:
    for each in psutil.Process(server.process.pid).children():
        try:
            if module in each.cmdline():
                return each
        except psutil.Error:  # killed a moment ago
            continue
    return None


def test_it_is_started_when_asked_for_and_after_every_fall(up: Callable[..., Any], tmp_path: Path, until: Any) -> None:
    server = up(tmp_path / "home", "--grpc-port", "0")
    address = json.loads((tmp_path / "home" / "run" / "server.json").read_text())["grpc_address"]
    assert live(address)
    router = "loopline.shells.dataplane"
    for module, by in (("loopline.shells.rpc", signal.SIGKILL), (router, signal.SIGKILL), (router, signal.SIGTERM)):
        fallen = until(lambda module=module: child(server, module))
        os.kill(fallen.pid, by)
        until(lambda module=module, fallen=fallen: (now := child(server, module)) and now.pid != fallen.pid)
        assert live(address)
    family = server.family()
    assert server.stop() == 0
    assert not any(each.is_running() for each in family)


def test_without_it_nothing_of_grpc_is_there(up: Callable[..., Any], tmp_path: Path) -> None:
    server = up(tmp_path / "home")
    assert child(server, "loopline.shells.rpc") is None
    assert json.loads((tmp_path / "home" / "run" / "server.json").read_text())["grpc_address"] == ""

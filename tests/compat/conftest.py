"""A real server for the stock client, and what MLflow's own server answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # what stands beside the tests is used by the peers too
TOKEN = "compat-token-0123456789"


@pytest.fixture(scope="session")
def told() -> Callable[..., dict[str, Any]]:
    """`told(peer, uri, stories)`: what stories say of a server, by the client of that environment."""
    import record

    return lambda peer, uri, stories: record.told(peer, uri, tuple(stories), TOKEN)


@pytest.fixture(scope="session")
def wanted() -> Callable[[str], dict[str, Any]]:
    """`wanted(peer)`: what MLflow's own server answered to that client."""
    return cache(lambda peer: json.loads((HERE / "answers" / f"{peer}.json").read_text()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running installation of its own."""
    command = [
        sys.executable,
        "-m",
        "loopline",
        "up",
        "--json",
        "--no-browser",
        "--home",
        str(tmp_path_factory.mktemp("compat") / "home"),
    ]
    environment = os.environ | {"LOOPLINE_TOKEN": TOKEN}
    process = subprocess.Popen(
        [*command, "--port", "0", "--serving-port", "0"], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, f"loopline up ended with {process.wait()}"
    yield json.loads(said)["link"].partition("/sign-in")[0]
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    process.wait(15)

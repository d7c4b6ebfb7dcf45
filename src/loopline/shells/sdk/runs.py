"""`with loopline.run("first try") as run:` for code that is no pipeline."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from functools import cache
from typing import Any

from loopline.shells.sdk.client import Client, connect
from loopline.usecases.tracking.client import Run


def run(
    name: str = "",
    *,
    experiment: str = "Default",
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    client: Client | None = None,
) -> Run:
    """Begin a run of `experiment`; leave its `with` block, or call `finish()`, to end it.

    It goes to the server in LOOPLINE_URL, else to the installation found as `connect()` finds it. A server that is away
    stops nothing: the run waits on this machine's disk.
    """
    return Run(client or shared(), name, experiment, params, tags)


@cache
def shared() -> Client:
    """One client a process, closed at its end."""
    client = connect()
    atexit.register(client.close)
    return client

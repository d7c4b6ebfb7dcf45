"""`loopline restart serving`: new code and settings, the same socket, no pause."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import click

from loopline.core.errors import CheckFailed

POLL_S = 0.1


@click.command()
@click.argument("what", type=click.Choice(["serving"]))
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for the successor.")
@click.pass_obj
def restart(obj: Any, what: str, timeout: float) -> None:
    """Restart a part of the running server while it goes on answering.

    A successor loads and warms the models that are in memory, answers beside its predecessor on the same socket, and
    takes over; if it cannot, what served before goes on."""
    from loopline.shells.cli.up import server
    from loopline.usecases.serving.waiting import address

    supervisor, before = server(obj.folder)["pid"], address(obj.folder)["pid"]
    os.kill(supervisor, signal.SIGUSR1)
    deadline = time.monotonic() + timeout
    while (now := address(obj.folder)["pid"]) == before:
        if time.monotonic() > deadline:
            raise CheckFailed(
                f"The successor has not taken over within {timeout:g} s; what served before goes on.",
                f"Its log is {obj.folder / 'logs' / 'data-plane.log'}.",
            )
        time.sleep(POLL_S)
    obj.show({"restarted": what, "pid": now, "before": before}, text=f"Serving goes on in process {now}.")

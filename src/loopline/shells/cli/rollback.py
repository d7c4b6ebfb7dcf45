"""Going back, whether a name or a deployment moved."""

from __future__ import annotations

import time
from typing import Any

import click

from loopline.core.errors import Unavailable

PATIENCE_S = 60.0


@click.command()
@click.argument("endpoint")
@click.option("--reason", default="", help="Why; kept with the fact.")
@click.pass_obj
def rollback(obj: Any, endpoint: str, reason: str) -> None:
    """Put what was live before at ENDPOINT back.

    An endpoint that follows an alias goes back by moving the alias back, so that the name and what runs agree.
    """
    found = obj.client.call("serving.endpoint", endpoint=endpoint)
    before = found.get("live") or {}
    if found.get("alias"):
        obj.client.call("promotion.rollback", model=found["model"], alias=found["alias"], reason=reason)
    else:
        obj.client.call("serving.rollback", endpoint=endpoint)
    now = wait_for_other(obj.client, endpoint, before.get("revision"))
    text = f"{endpoint} answers with version {now['version']} again (revision {now['revision']})."
    obj.show({"endpoint": endpoint, "from": before, "to": now}, text=text)


def wait_for_other(client: Any, endpoint: str, revision: int | None) -> dict[str, Any]:
    """The live revision as soon as it is another than `revision`."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        live: dict[str, Any] = client.call("serving.endpoint", endpoint=endpoint).get("live") or {}
        if live and live["revision"] != revision:
            return live
        time.sleep(0.05)
    raise Unavailable(f"{endpoint} is not back yet.", "Is `loopline up` running? It goes back as soon as it is.")

"""Going back, whether a name or a deployment moved."""

from __future__ import annotations

import time
from typing import Any

import click

from loopline.core.errors import Conflict, Unavailable

PATIENCE_S = 60.0


@click.command()
@click.argument("endpoint")
@click.option("--env", "environment", default="", metavar="ENVIRONMENT", help="ENDPOINT is a pipeline: go back there.")
@click.option("--reason", default="", help="Why; kept with the fact.")
@click.pass_obj
def rollback(obj: Any, endpoint: str, environment: str, reason: str) -> None:
    """Put what was live before at ENDPOINT back, or with --env the release of a pipeline that stood there before.

    A canary is taken off first. An endpoint that follows an alias goes back by moving the alias back, so that the name
    and what runs agree.
    """
    if environment:
        go_back(obj, endpoint, environment, reason)
        return
    found = obj.client.call("serving.endpoint", endpoint=endpoint)
    before = found.get("live") or {}
    moved = None if by_alias(obj.client, found, reason) else obj.client.call("serving.rollback", endpoint=endpoint)
    if moved is not None and moved["revision"] == before.get("revision"):  # called off, or a canary taken off
        text = f"{endpoint} answers with version {moved['version']} alone (revision {moved['revision']})."
        obj.show({"endpoint": endpoint, "from": before, "to": moved}, text=text)
        return
    now = wait_for_other(obj.client, endpoint, before.get("revision"))
    text = f"{endpoint} answers with version {now['version']} again (revision {now['revision']})."
    obj.show({"endpoint": endpoint, "from": before, "to": now}, text=text)


def by_alias(client: Any, endpoint: dict[str, Any], reason: str) -> bool:
    """Move the alias that an endpoint follows back, and so the endpoint. False when it follows none, when a canary is to
    be taken off first, or when the alias has nowhere to go: what is live was deployed by hand."""
    shared = endpoint.get("traffic") or {}
    canary = shared.get("arms") and shared.get("kind", "canary") == "canary"
    if not endpoint.get("alias") or canary:
        return False
    try:
        client.call("promotion.rollback", model=endpoint["model"], alias=endpoint["alias"], reason=reason)
    except Conflict:
        return False
    return True


def go_back(obj: Any, pipeline: str, environment: str, reason: str) -> None:
    """Have the release of a pipeline stand in an environment again that stood there before."""
    project, _, name = pipeline.rpartition("/")
    fields = {"pipeline": name, "environment": environment, "project": project, "reason": reason}
    moved = obj.client.call("releases.rollback", **fields)
    obj.show(moved, text=f"{moved['release'][:12]} stands in {environment} again as {moved['project']}/{name}.")


def wait_for_other(client: Any, endpoint: str, revision: int | None) -> dict[str, Any]:
    """The live revision as soon as it is another than `revision`."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        live: dict[str, Any] = client.call("serving.endpoint", endpoint=endpoint).get("live") or {}
        if live and live["revision"] != revision:
            return live
        time.sleep(0.05)
    raise Unavailable(f"{endpoint} is not back yet.", "Is `loopline up` running? It goes back as soon as it is.")

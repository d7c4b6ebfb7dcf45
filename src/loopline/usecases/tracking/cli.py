"""`loopline show` and `sync`."""

from __future__ import annotations

import sys
from typing import Any

import click

from loopline.core.errors import NotFound

LONGEST_SHOWN = 200
STATES = {"archived": "archived", "deleted": "in the trash (`loopline restore run` brings it back)"}


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--metric", default="", help="All points of this metric.")
@click.option("--artifact", default="", help="Write this artifact to stdout.")
@click.pass_obj
def show(obj: Any, run_id: str, metric: str, artifact: str) -> None:
    """Show one run, named by its id or the beginning of it."""
    if artifact:
        write_artifact(obj, run_id, artifact)
    elif metric:
        points = obj.client.call("tracking.history", run_id=run_id, key=metric)
        obj.show(points, table=[("STEP", "step"), ("AT_MS", "at_ms"), ("VALUE", "value")], title="Points")
    else:
        run = found(obj.client, run_id)
        run["artifacts"] = obj.client.call("tracking.artifacts", run_id=run_id)
        obj.show(run, text="\n".join(lines(run)))


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also what was logged for other installations.")
@click.pass_obj
def sync(obj: Any, everything: bool) -> None:
    """Deliver what was logged while the server was away."""
    import msgspec

    from loopline.core.errors import Unavailable
    from loopline.usecases.tracking.spool import synced

    found = synced(obj.client, everything)
    text = f"{found.sent} calls delivered, {found.refused} refused, {found.waiting} runs still wait."
    if found.elsewhere:
        text += f" {found.elsewhere} are for other installations; --all brings them here."
    obj.show(msgspec.to_builtins(found), text=text)
    if found.reason and not found.sent:
        raise Unavailable(f"Nothing could be delivered: {found.reason}", "Start the server, or look at its token.")


def found(client: Any, run_id: str) -> dict[str, Any]:
    """A run; NotFound that says when and by whom it was removed, if it was."""
    try:
        run: dict[str, Any] = client.call("tracking.get", run_id=run_id)
    except NotFound as error:
        stone = client.call("retention.tombstone", kind="run", name=run_id)
        if not stone:
            raise
        told = f"The run {stone['name']} was removed on {stone['removed_at'][:10]} by {stone['removed_by']}."
        raise NotFound(told, error.hint) from None
    return run


def write_artifact(obj: Any, run_id: str, name: str) -> None:
    """An artifact's bytes on stdout."""
    import base64

    found = obj.client.call("tracking.artifact", run_id=run_id, name=name)
    content = found["content"]
    data: bytes = base64.b64decode(content) if isinstance(content, str) else content
    sys.stdout.buffer.write(data)


def lines(run: dict[str, Any]) -> list[str]:
    """A run for people."""
    git = run["surroundings"].get("git") or {}
    found = [
        f"{run['kind']} {short(run['name'])}  {run['id']}",
        f"status      {run['status']}{'  ' + run['error'] if run['error'] else ''}",
        *([f"state       {STATES[run['state']]}"] if run.get("state") in STATES else []),
        f"experiment  {run['experiment']}",
        f"started     {run['started_at']} by {run['created_by']}",
        f"ended       {run['ended_at'] or ''}",
    ]
    if git:
        found.append(f"git         {git['commit'][:12]}{' with changes' if git.get('dirty') else ''}")
    for name in ("params", "metrics", "tags"):
        found += (
            [f"{name}:"] + [f"  {key} = {short(value)}" for key, value in sorted(run[name].items())]
            if run[name]
            else []
        )
    found += [f"{one['direction']}  {one['name']}  {one['kind']} {one['digest'][:12]}" for one in run["links"]]
    return found + [f"artifact  {one['name']}  {one['size']} bytes" for one in run["artifacts"]]


def short(value: Any) -> str:
    """A value in few characters, on one line; `--json` tells all of it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    line = " ".join(text[: LONGEST_SHOWN + 1].splitlines())
    return line if len(text) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}… ({len(text)} characters)"

"""`loopline snapshot`, `loopline datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from loopline.core.errors import CheckFailed


@click.command()
@click.argument("name")
@click.pass_obj
def snapshot(obj: Any, name: str) -> None:
    """Take a snapshot of the dataset NAME; each new batch is checked by its contract first.

    Ends with exit code 1 when a batch is kept aside; the snapshot is taken without it.
    """
    taken = obj.client.call("datasets.snapshot", name=name)
    what = "new snapshot" if taken["new"] else "nothing new, snapshot"
    line = f"{what} {taken['digest'][:16]} of {name}: {taken['rows']:,} rows in {len(taken['parts'])} batches"
    obj.show(taken, text=line)
    if taken["refused"]:
        raise CheckFailed(
            f"{len(taken['refused'])} batches of {name!r} are kept aside: {', '.join(taken['refused'][:5])}.",
            f"`loopline datasets {name} --refused` says why.",
        )


@click.command()
@click.argument("name", required=False)
@click.option("--refused", is_flag=True, help="Show the batches that are kept aside, and which rules they break.")
@click.option("--accept", "batch", metavar="BATCH", help="Release a batch that was kept aside.")
@click.option("--reason", default="", help="Why it may be used; kept in the ledger.")
@click.pass_obj
def datasets(obj: Any, name: str | None, refused: bool, batch: str | None, reason: str) -> None:
    """List datasets, or the snapshots of NAME."""
    if name is None and (refused or batch is not None):
        raise click.UsageError("--refused and --accept need the name of a dataset.")
    if name is None:
        show_all(obj)
    elif batch is not None:
        released = obj.client.call("datasets.accept", name=name, batch=batch, reason=reason)
        obj.show(released, text=f"{batch} is released; the next `loopline snapshot {name}` holds it")
    elif refused:
        found = obj.client.call("datasets.batches", name=name, state="refused")
        obj.show(found, text="\n".join(map(report, found)) or f"No batch of {name} is kept aside.")
    else:
        found = obj.client.call("datasets.snapshots", name=name)
        rows = [{**item, "batches": len(item["parts"])} for item in found]
        columns = [("TAKEN", "taken_at"), ("DIGEST", "digest"), ("ROWS", "rows"), ("BATCHES", "batches")]
        obj.show(found if obj.json else rows, table=[*columns, ("BY", "taken_by")], title="Snapshots")


def show_all(obj: Any) -> None:
    found = obj.client.call("datasets.datasets")
    rows = [{**item, "from": source(item["source"])} for item in found]
    columns = [("DATASET", "name"), ("SOURCE", "from"), ("SNAPSHOTS", "snapshots"), ("KEPT ASIDE", "refused")]
    obj.show(found if obj.json else rows, table=[*columns, ("LATEST", "latest")], title="Datasets")


def source(value: Mapping[str, Any]) -> str:
    """A source in one line."""
    return str(value.get("folder") or f"{value.get('url')}: {value.get('query')}")


def report(batch: Mapping[str, Any]) -> str:
    """A batch that is kept aside, and what is wrong with it."""
    lines = [f"{batch['name']} ({batch['rows']:,} rows, seen {batch['seen_at']})"]
    for broken in (batch["report"] or {}).get("broken", ()):
        examples = f" ({'; '.join(broken['examples'])})" if broken["examples"] else ""
        lines.append(f"  {broken['message']}{examples}")
    return "\n".join(lines)

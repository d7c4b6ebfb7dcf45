"""Walks along the ledger."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("prediction")
@click.pass_obj
def trace(obj: Any, prediction: str) -> None:
    """Walk from a prediction back to the data behind it."""
    walk = obj.client.call("lineage.trace", prediction=prediction)
    obj.show(walk, text=drawn(walk))


@click.command()
@click.argument("snapshot")
@click.pass_obj
def impact(obj: Any, snapshot: str) -> None:
    """Walk from a dataset snapshot to all that it touched."""
    walk = obj.client.call("lineage.impact", snapshot=snapshot)
    obj.show(walk, text=drawn(walk))


def drawn(walk: dict[str, Any]) -> str:
    """The walk as lines, one stop below the other."""
    lines = []
    for node in walk["nodes"]:
        lines.append(f"{node['kind']:<18} {node['title']}")
        lines += [f"{'':<18}   {line}" for line in node.get("lines", ())]
    return "\n".join(lines)

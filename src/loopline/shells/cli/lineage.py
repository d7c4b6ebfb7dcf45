"""Walks along the ledger."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import click

MOST_BATCHES = 4


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
    """The walk as lines, one stop below the other; of many batches in a row the first and the last."""
    lines: list[str] = []
    for kind, stops in groupby(walk["nodes"], key=lambda node: node["kind"]):
        nodes = list(stops)
        left_out = len(nodes) - MOST_BATCHES if kind == "batch" else 0
        shown = nodes if left_out <= 0 else [nodes[0], nodes[-1]]
        for place, node in enumerate(shown):
            if place == 1 and left_out > 0:
                lines.append(f"{'':<18} … {len(nodes) - 2} more")
            lines += stop(kind, node)
    return "\n".join(lines)


def stop(kind: str, node: dict[str, Any]) -> list[str]:
    """One stop: its kind and title, below it what is known of it."""
    return [f"{kind:<18} {node['title']}", *(f"{'':<18}   {line}" for line in node.get("lines", ()))]

"""`loopline models`, `loopline versions`, `loopline alias`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


@click.command()
@click.pass_obj
def models(obj: Any) -> None:
    """List registered models with their aliases."""
    found = obj.client.call("registry.models")
    rows = [{**model, "pointing": pointing(model["aliases"])} for model in found]
    columns = [("MODEL", "name"), ("VERSIONS", "versions"), ("NEWEST", "latest"), ("ALIASES", "pointing")]
    obj.show(rows if not obj.json else found, table=columns, title="Models")


@click.command()
@click.argument("model")
@click.pass_obj
def versions(obj: Any, model: str) -> None:
    """List the versions of MODEL, oldest first."""
    found = obj.client.call("registry.versions", model=model)
    rows = [
        {**version, "scores": pointing(version["metrics"]), "names": ", ".join(version["aliases"])} for version in found
    ]
    columns = [
        ("VERSION", "version"),
        ("ALIASES", "names"),
        ("METRICS", "scores"),
        ("FORMAT", "format"),
        ("RUN", "run_id"),
        ("CREATED", "created_at"),
        ("BY", "created_by"),
    ]
    obj.show(found if obj.json else rows, table=columns, title="Versions")


@click.command()
@click.argument("model")
@click.argument("name")
@click.option("--at", default="", metavar="TIME", help="Where it pointed then (2013-05-03T14:00:00Z).")
@click.pass_obj
def alias(obj: Any, model: str, name: str, at: str) -> None:
    """Show where the alias NAME of MODEL points and has pointed; `loopline promote` moves it."""
    obj.client.call("registry.versions", model=model)  # a model that does not exist has no aliases to speak of
    found = obj.client.call("registry.alias", model=model, alias=name, at=at)
    stands = f"version {found['version']}" if found["version"] is not None else "nowhere"
    obj.show(found, text="\n".join([f"{model}@{name} points to {stands}", *map(moved, found["history"])]))


def pointing(values: Mapping[str, Any]) -> str:
    """`production 3, staging 4`."""
    return ", ".join(f"{key} {value:.6g}" for key, value in values.items())


def moved(move: Mapping[str, Any]) -> str:
    """One line of an alias's history."""
    before = move["from_version"] if move["from_version"] is not None else "-"
    after = move["version"] if move["version"] is not None else "-"
    return f"  {move['moved_at']}  {before} → {after}  {move['actor']}: {move['reason']}"

"""`loopline endpoint options`: how an endpoint serves."""

from __future__ import annotations

import json
from typing import Any

import click

from loopline.core.errors import Invalid


@click.group()
def endpoint() -> None:
    """Show and change how an endpoint serves."""


@endpoint.command()
@click.argument("name", metavar="ENDPOINT")
@click.argument("changes", nargs=-1, metavar="[OPTION=VALUE]...")
@click.pass_obj
def options(obj: Any, name: str, changes: tuple[str, ...]) -> None:
    """Show the options of ENDPOINT, or change some: `workers=2`, `rules=surge/3`; `rules=` puts one back to its default."""
    if changes:
        found = obj.client.call("serving.configure", endpoint=name, options=dict(map(change, changes)))
    else:
        found = obj.client.call("serving.options", endpoint=name)
    text = "\n".join(f"{option} = {json.dumps(value)}" for option, value in found.items())
    obj.show(found, text=text or f"{name} serves with all options at their defaults.")


def change(text: str) -> tuple[str, Any]:
    """`workers=2` as name and value: JSON where it is some, else the text itself; nothing is the default."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Invalid(f"{text!r} is not OPTION=VALUE.", "Write it as workers=2.")
    if not value:
        return name, None
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

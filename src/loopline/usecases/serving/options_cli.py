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


@endpoint.command()
@click.argument("name", metavar="ENDPOINT")
@click.option("--from-contract", "dataset", metavar="DATASET", help="Take them from this dataset's contract.")
@click.option("--otherwise", type=click.Choice(["reject", "clip", "pass"]), default="reject", show_default=True,
              help="What becomes of a value outside.")  # fmt: skip
@click.pass_obj
def ranges(obj: Any, name: str, dataset: str | None, otherwise: str) -> None:
    """Show which values ENDPOINT takes of its inputs, or take that from a contract."""
    if dataset is None:
        found = obj.client.call("serving.options", endpoint=name)
    else:
        found = obj.client.call("serving.ranges", endpoint=name, dataset=dataset, otherwise=otherwise)
    declared = found.get("ranges", {})
    rows = [
        {"input": each, **declared[each], "otherwise": declared[each].get("otherwise", "reject")} for each in declared
    ]
    columns = [
        ("INPUT", "input"),
        ("FROM", "minimum"),
        ("TO", "maximum"),
        ("ONE OF", "categories"),
        ("OTHERWISE", "otherwise"),
    ]
    obj.show(declared if obj.json else rows, table=columns, title="Ranges")


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

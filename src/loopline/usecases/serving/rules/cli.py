"""`loopline rules`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from loopline.core.errors import Invalid


@click.group(invoke_without_command=True)
@click.pass_context
def rules(context: click.Context) -> None:
    """List business rules; put a file of them, or show one. `loopline endpoint options NAME rules=RULES/1` uses them."""
    if context.invoked_subcommand is None:
        context.invoke(listed)


@rules.command("list")
@click.argument("name", default="")
@click.pass_obj
def listed(obj: Any, name: str) -> None:
    """List all versions, or those of NAME."""
    found = obj.client.call("serving.rules", name=name)
    rows = [{**one, "tests": len(one["declared"].get("tests", ())), "short": one["digest"][:12]} for one in found]
    columns = [("RULES", "reference"), ("DIGEST", "short"), ("TESTS", "tests"), ("PUT", "put_at"), ("BY", "put_by")]
    obj.show(found if obj.json else rows, table=columns, title="Rules")


@rules.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def put(obj: Any, name: str, file: Path) -> None:
    """Keep FILE as the next version of the rules NAME; its tests run first, and a failing one refuses it."""
    try:
        source = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read ({error}).", "Name a Python file.") from None
    made = obj.client.call("serving.put_rules", name=name, source=source)
    count = len(made["declared"].get("tests", ()))
    obj.show(made, text=f"{made['reference']} is kept; {count} test{'s' * (count != 1)} passed.")


@rules.command()
@click.argument("reference", metavar="NAME/NUMBER")
@click.pass_obj
def show(obj: Any, reference: str) -> None:
    """Show a version: what it declares, and its source."""
    name, _, number = reference.partition("/")
    if not number.isdecimal():
        raise Invalid(f"{reference!r} names no version of rules.", "Write NAME/NUMBER, as surge/3.")
    found = obj.client.call("serving.rule", name=name, number=int(number))
    obj.show(found, text="\n".join([*told(found), "", found["source"].rstrip()]))


def told(found: Mapping[str, Any]) -> list[str]:
    """What is worth saying of rules, as lines."""
    declared = found["declared"]
    lines = [f"{found['reference']} of {found['put_at']} by {found['put_by']}, digest {found['digest'][:12]}"]
    if declared.get("inputs"):
        lines.append("rows hold " + ", ".join(kind(one) for one in declared["inputs"]))
    if declared.get("output"):
        lines.append(f"gives {kind(declared['output'])}")
    return lines


def kind(column: Mapping[str, Any]) -> str:
    """A column with its type."""
    return f"{column['name']} ({column['type']}{', or nothing' if column.get('nullable') else ''})"

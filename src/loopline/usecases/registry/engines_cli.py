"""`loopline compile`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from loopline.usecases.registry.engines_model import SIZES


@click.command()
@click.argument("reference", metavar="MODEL/VERSION")
@click.option("--again", is_flag=True, help="Also when an engine was chosen already.")
@click.pass_obj
def compile_version(obj: Any, reference: str, again: bool) -> None:
    """Choose the engine that runs a version here: the quickest that answers as the model's library does."""
    found = obj.client.call("registry.find", reference=reference)
    named = {"model": found["model"], "version": found["version"]}
    choice = obj.client.call("registry.compile", **named, again=again)
    obj.show(choice, text="\n".join(told(choice)))


def told(choice: Mapping[str, Any]) -> list[str]:
    """A choice as lines."""
    lines = [f"{choice['model']}/{choice['version']} is run by {choice['rung']} on {choice['machine']}"]
    if choice["rows"]:
        difference = f"largest difference {choice['difference']:.1e}" if choice["difference"] else "no difference"
        lines.append(f"  compared with its library on {choice['rows']} rows: {difference}")
    lines.append("  " + f"{'microseconds for':<18}" + "".join(f"{f'{size:,} rows':>14}" for size in SIZES))
    for rung, times in choice["timings"].items():
        lines.append("  " + f"{rung:<18}" + "".join(f"{time:>14,.1f}" for time in times))
    return [*lines, *(f"  not {rung}: {reason}" for rung, reason in choice["fallen"].items())]

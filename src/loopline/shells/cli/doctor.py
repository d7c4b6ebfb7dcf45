"""Is this installation well?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from loopline.core.errors import CheckFailed, LooplineError
from loopline.shells.cli.up import runs

LEAST_FREE = 1 << 30


@click.command()
@click.pass_obj
def doctor(obj: Any) -> None:
    """Check folder, disk, schema, ledger and server, and say what to do about what is wrong."""
    found = list(checks(obj.folder))
    lines = [f"{'ok ' if well else 'BAD'}  {what:<8} {says}" for what, well, says in found]
    obj.show([{"check": what, "ok": well, "says": says} for what, well, says in found], text="\n".join(lines))
    if not all(well for _, well, _ in found):
        raise CheckFailed("Something is wrong with this installation.", "The lines marked BAD say what.")


def checks(home: Path) -> Iterator[tuple[str, bool, str]]:
    """(what, whether it is well, one sentence)."""
    if not (home / "loopline.db").exists():
        yield "home", False, f"{home} holds no installation; `loopline up` or `loopline run` makes one."
        return
    yield "home", os.access(home, os.W_OK), f"{home} {'can' if os.access(home, os.W_OK) else 'cannot'} be written."
    private = not home.stat().st_mode & 0o077
    yield "rights", private, "Only its owner can read it." if private else f"Others can read it: chmod 700 {home}"
    free = shutil.disk_usage(home).free
    yield "disk", free > LEAST_FREE, f"{free / (1 << 30):.1f} GiB are free."
    yield ledger(home)
    yield "server", True, "A server runs." if runs(home) else "No server runs."


def ledger(home: Path) -> tuple[str, bool, str]:
    """Whether the ledger bears out what is stored."""
    from loopline.app.wiring import audit, open_home

    try:
        with open_home(home, create=False) as loopline:
            found = audit(loopline)
    except LooplineError as error:
        return "ledger", False, str(error)
    problem = f"{found.problems[0].where} {found.problems[0].what}" if found.problems else ""
    return "ledger", found.sound, f"{found.facts} facts are sound." if found.sound else problem

"""The ledger, verified or listed."""

from __future__ import annotations

from typing import Any

import click

from loopline.core.errors import CheckFailed, Invalid


@click.group()
def audit() -> None:
    """Verify the ledger, or list its facts."""


@audit.command()
@click.pass_obj
def verify(obj: Any) -> None:
    """Check every fact, the signed head, and that aliases and deployments follow from the facts.

    Works on the installation's own files: the key that signed the head lies there.
    """
    import msgspec

    from loopline.app.wiring import audit as audited
    from loopline.app.wiring import open_home

    if obj.url:
        raise Invalid("An audit reads the installation's own files.", "Run it where they are, with --home.")
    with open_home(obj.folder, create=False) as loopline:
        found = audited(loopline)
    lines = [f"{found.facts} facts, head {found.head[:16]}"]
    lines += [f"  {problem.where} {problem.what}" for problem in found.problems]
    lines += [f"  and {found.more} more"] if found.more else []
    obj.show(msgspec.to_builtins(found), text="\n".join([*lines, "sound" if found.sound else "NOT sound"]))
    if not found.sound:
        raise CheckFailed("The ledger does not bear out what is stored.", "Restore a backup, or ask who changed it.")


@audit.command()
@click.option("--limit", default=50, show_default=True, help="How many, newest first.")
@click.option("--kind", default="", help="Only facts of this kind, oldest first.")
@click.pass_obj
def facts(obj: Any, limit: int, kind: str) -> None:
    """List facts."""
    found = obj.client.call("ledger.facts", newest=not kind, limit=limit, kind=kind)
    columns = [("SEQ", "seq"), ("AT", "at"), ("KIND", "kind"), ("SUBJECT", "subject"), ("BY", "actor")]
    obj.show(found, table=columns, title="Facts")

"""Access tokens."""

from __future__ import annotations

from typing import Any

import click


@click.group()
def token() -> None:
    """Make, list and revoke access tokens."""


@token.command()
@click.argument("name")
@click.option("--role", default="editor", show_default=True, help="viewer, editor, approver or admin.")
@click.pass_obj
def new(obj: Any, name: str, role: str) -> None:
    """Make a token and print it; it is shown this once."""
    made = obj.client.call("access.new", name=name, role=role)
    obj.show(made, text=made["secret"])


@token.command("list")
@click.pass_obj
def listed(obj: Any) -> None:
    """List tokens by name."""
    columns = [
        ("NAME", "name"),
        ("ROLE", "role"),
        ("CREATED", "created_at"),
        ("BY", "created_by"),
        ("REVOKED", "revoked_at"),
    ]
    obj.show(obj.client.call("access.tokens"), table=columns, title="Tokens")


@token.command()
@click.argument("name")
@click.pass_obj
def revoke(obj: Any, name: str) -> None:
    """Revoke a token at once."""
    obj.client.call("access.revoke", name=name)
    obj.show({"revoked": name}, text=f"{name} is revoked.")

"""Access tokens."""

from __future__ import annotations

from typing import Any

import click


@click.group()
def token() -> None:
    """Make, list and revoke access tokens."""


@token.command()
@click.argument("name")
@click.option("--role", help="viewer, editor, approver or admin (default: editor; viewer with --endpoint).")
@click.option("--endpoint", multiple=True, help="Limit it to predictions of this endpoint; may be given several times.")
@click.option("--expires", metavar="TIME", help='After how long it ends, as "30d".')
@click.pass_obj
def new(obj: Any, name: str, role: str | None, endpoint: tuple[str, ...], expires: str | None) -> None:
    """Make a token and print it; it is shown this once."""
    for each in endpoint:
        obj.client.call("serving.endpoint", endpoint=each)  # a misspelt name would be found out much later
    role = role or ("viewer" if endpoint else "editor")
    limits = {"endpoints": list(endpoint) or None, "expires": expires}
    made = obj.client.call("access.new", name=name, role=role, **limits)
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
        ("EXPIRES", "expires_at"),
        ("ENDPOINTS", "endpoints"),
    ]
    found = obj.client.call("access.tokens")
    told = [{**each, "endpoints": ", ".join(each["endpoints"] or ["all"])} for each in found]
    obj.show(found if obj.json else told, table=columns, title="Tokens")


@token.command()
@click.argument("name")
@click.pass_obj
def revoke(obj: Any, name: str) -> None:
    """Revoke a token at once."""
    obj.client.call("access.revoke", name=name)
    obj.show({"revoked": name}, text=f"{name} is revoked.")

"""Tokens: their form and how they are kept. A token is shown once; only its hash is stored."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from loopline.core.errors import Invalid
from loopline.core.verbs import Role

ROLES = {role.name.lower(): role for role in Role}


class Token(msgspec.Struct, frozen=True):
    """A named token as others may see it."""

    name: str
    role: str
    created_at: str
    created_by: str
    revoked_at: str | None = None


class NewToken(msgspec.Struct, frozen=True):
    """A token just made: the only time that its secret is shown."""

    name: str
    role: str
    secret: str


def new_secret(prefix: str = "loop") -> str:
    """256 random bits; the prefix lets secret scanners recognise it."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def hashed(secret: str) -> str:
    """SHA-256 is enough for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def role_named(name: str) -> Role:
    """The role of that name, or Invalid."""
    if name not in ROLES:
        raise Invalid(f"{name!r} is not a role.", f"Roles are {', '.join(ROLES)}.")
    return ROLES[name]

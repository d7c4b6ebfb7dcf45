"""Tokens: their form and how they are kept. A token is shown once; only its hash is stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from loopline.core.errors import Invalid
from loopline.core.ids import checked_name
from loopline.core.verbs import Role

ROLES = {role.name.lower(): role for role in Role}
KEY_ROLES = (Role.VIEWER, Role.EDITOR)
MOST_ENDPOINTS = 100
_AFTER = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Token(msgspec.Struct, frozen=True):
    """A named token as others may see it: with `endpoints`, a key for those alone; it ends at `expires_at`."""

    name: str
    role: str
    created_at: str
    created_by: str
    revoked_at: str | None = None
    endpoints: tuple[str, ...] | None = None
    expires_at: str | None = None


class NewToken(msgspec.Struct, frozen=True):
    """A token just made: the only time that its secret is shown."""

    name: str
    role: str
    secret: str
    endpoints: tuple[str, ...] | None = None
    expires_at: str | None = None


def new_secret(prefix: str = "loop") -> str:
    """256 random bits; the prefix lets secret scanners recognise it."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def hashed(secret: str) -> str:
    """SHA-256 is enough for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def moment_after(text: str, now: datetime) -> datetime:
    """When "30d", "12h", "45m" or "2w" from now is; Invalid for anything else."""
    match = _AFTER.fullmatch(text.strip())
    try:
        if match is not None:
            return now + int(match[1]) * _UNITS[match[2]]
    except OverflowError:
        pass
    raise Invalid(f"{text[:40]!r} is no time for a token to live.", 'Write it as "30d", "12h", "45m" or "2w".')


def checked_endpoints(endpoints: Sequence[str], role: Role) -> tuple[str, ...]:
    """The endpoints of a key, each once. Invalid for none or too many, and for a role that reaches beyond endpoints."""
    found = tuple(sorted({checked_name("endpoint", name) for name in endpoints}))
    if not 0 < len(found) <= MOST_ENDPOINTS:
        raise Invalid(f"A token cannot be limited to {len(found)} endpoints.", f"Name 1 to {MOST_ENDPOINTS}.")
    if role not in KEY_ROLES:
        raise Invalid(
            f"A token limited to endpoints cannot be {role.name.lower()}.",
            "Take viewer (predictions) or editor (ground truth too).",
        )
    return found


def role_named(name: str) -> Role:
    """The role of that name, or Invalid."""
    if name not in ROLES:
        raise Invalid(f"{name!r} is not a role.", f"Roles are {', '.join(ROLES)}.")
    return ROLES[name]

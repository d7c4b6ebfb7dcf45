"""How the requests of an endpoint are shared out between revisions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named share of the traffic, answered by one revision. `share` from 0 to 1; for a shadow the share mirrored."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    revision: int
    share: Annotated[float, Meta(ge=0.0, le=1.0)]


class Traffic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A split beside the live revision, which gets what no arm gets, under the arm "live".

    `by` says what an arm sticks to: "request" (nothing), "key" (the endpoint's key), "caller", or "header:NAME". The same
    value under the same `salt` always gets the same arm. `shadows` are sent copies and never answer. `kind`: a canary is
    watched and then made live, a test (A/B) compares outcomes.
    """

    kind: str = "canary"
    arms: tuple[Arm, ...] = ()
    by: str = "request"
    salt: str = ""
    shadows: tuple[Arm, ...] = ()


def decoded(text: str) -> Traffic | None:
    """Traffic as the database keeps it."""
    return msgspec.json.decode(text, type=Traffic) if text else None

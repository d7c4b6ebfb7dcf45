"""How the requests of an endpoint are shared out between revisions."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
CANARY, TEST = "canary", "test"
LIVE, SHADOW = "live", "shadow"


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A named share of the traffic, answered by one revision. `share` from 0 to 1; for a shadow the share mirrored.

    `spans` are the places that are its own, as half-open intervals of 0 to 1,000,000: whoever is hashed to a place in
    them gets this arm (see `splitting`)."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    revision: int
    share: Share
    spans: tuple[tuple[int, int], ...] = ()


class Traffic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A split beside the live revision, which gets what no arm gets, under the arm "live".

    `by` says what an arm sticks to: "request" (nothing), "key" (the endpoint's key), "caller", or "header:NAME". The same
    value under the same `salt` always gets the same arm. `shadows` are sent copies and never answer. `kind`: a canary is
    watched and then made live, a test (A/B) compares outcomes. A canary with `steps` takes the next share each `every_s`
    seconds while it is not worse; a step of 1 makes it live. `since` is when the shares became what they are.
    """

    kind: Literal["canary", "test"] = "canary"
    arms: tuple[Arm, ...] = ()
    by: str = "request"
    salt: str = ""
    shadows: tuple[Arm, ...] = ()
    steps: tuple[Share, ...] = ()
    every_s: float = 0.0
    since: str = ""

    def revisions(self) -> tuple[int, ...]:
        """The revisions that run beside the live one."""
        return tuple(dict.fromkeys(arm.revision for arm in (*self.arms, *self.shadows)))

    def arm(self, name: str) -> Arm | None:
        """The arm of that name."""
        return next((arm for arm in self.arms if arm.name == name), None)

    def empty(self) -> bool:
        """Whether nothing is shared out."""
        return not self.arms and not self.shadows


def decoded(text: str) -> Traffic | None:
    """Traffic as the database keeps it."""
    return msgspec.json.decode(text, type=Traffic) if text else None

"""A fact: one change of state, as the ledger keeps it for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is "<thing>.<past participle>"; `subject` names the thing; `body` is JSON with what changed.

    `digest` is BLAKE3 over the previous fact's digest and every other field, each with its length before it.
    """

    seq: int
    at: str
    kind: str
    subject: str
    actor: str
    body: Mapping[str, Any]
    previous: str
    digest: str

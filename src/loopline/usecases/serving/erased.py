"""What an erasure did."""

from __future__ import annotations

import msgspec


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How many records of a person went. `subject` is the keyed hash by which facts name the person."""

    id: str
    endpoint: str
    field: str
    subject: str
    predictions: int
    truth: int

"""Predictions beside their truth, counted so that parts add up."""

from __future__ import annotations

import msgspec


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the rows of one bucket of time and one segment. Two of them add up."""

    rows: int
    labelled: int

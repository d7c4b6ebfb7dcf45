"""What steps share."""

from __future__ import annotations

FACTOR = 2


def shifted(value: int) -> int:
    """A helper that a step needs."""
    return value + 2


def unrelated(value: int) -> int:
    """A helper that no step needs."""
    return value - 1

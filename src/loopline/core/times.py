"""Times are UTC and travel as ISO 8601 text with milliseconds, which sorts as time does."""

from __future__ import annotations

from datetime import UTC, datetime

from loopline.core.errors import Invalid


def to_text(moment: datetime) -> str:
    """`2013-04-01T12:00:00.000Z` for an aware datetime."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """The aware UTC datetime for ISO 8601 text; a time without zone is taken as UTC. Invalid for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Invalid(f"{text!r} is not a time.", "Write it as 2013-04-01T12:00:00Z.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def from_ms(milliseconds: int) -> str:
    """The text of a wire time in milliseconds since 1970 UTC."""
    return to_text(datetime.fromtimestamp(milliseconds / 1000, UTC))


def to_ms(text: str) -> int:
    """Milliseconds since 1970 UTC for a time as text."""
    return round(from_text(text).timestamp() * 1000)

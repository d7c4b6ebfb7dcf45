"""Signs of life: when something last came, how long it usually takes, and from when on it is silent. Pure rules.

What is usual is learned from the longest gap of each day on which anything came, over the last 90 such days. Silence is
three times the longest of these (and so beyond every quantile of past gaps); gaps that were called silence are not learned."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

DAY_S, HOUR_S = 86_400.0, 3_600.0
DAYS = 90
TIMES = 3.0
LEAST_S = 900.0  # nothing shorter is silence
LEARNED_AFTER_S = 8 * DAY_S  # a weekend was seen
LEARNED_GAPS = 5


class Track(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of one source: when it first and last came (Unix seconds), and the longest gap (seconds) that ended
    on each day (UTC)."""

    since: float = 0.0
    last: float = 0.0
    gaps: dict[str, float] = {}


class Tracks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Both logs of an endpoint."""

    predictions: Track = Track()
    truth: Track = Track()


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """All that was seen at the last look, which was at `at` (Unix seconds)."""

    at: float = 0.0
    of: dict[str, Tracks] = {}


def noted(track: Track, last: float, learns: bool, limit: float | None) -> Track:
    """The track after something came at `last`. It learns the gap when it was watched all the time (`learns`) and the gap
    was not silence (`limit` seconds)."""
    if last <= track.last:
        return track
    if not track.last:
        return Track(since=last, last=last)
    gap = last - track.last
    gaps = dict(track.gaps)
    if learns and (limit is None or gap <= limit):
        day = datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d")
        gaps[day] = round(max(gaps.get(day, 0.0), gap), 3)
        gaps = dict(sorted(gaps.items())[-DAYS:])
    return msgspec.structs.replace(track, last=last, gaps=gaps)


def silent_after(track: Track, hours: float | None) -> float | None:
    """After how many seconds without anything a source is silent: as declared (`hours`; 0: never), else as learned; None
    while too little was seen."""
    if hours is not None:
        return hours * HOUR_S if hours else None
    watched = track.last - track.since
    if watched < LEARNED_AFTER_S or len(track.gaps) < LEARNED_GAPS:
        return None
    return max(LEAST_S, TIMES * max(track.gaps.values()))


def periods(silence: float, after: float) -> int:
    """How many times the bearable silence has passed; 0 while it is bearable."""
    return int(silence // after) if after > 0 else 0


def shown(seconds: float) -> str:
    """A duration as people say it."""
    for size, name in ((DAY_S, "days"), (HOUR_S, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.0f} seconds"

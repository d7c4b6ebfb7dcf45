"""When a schedule comes: occasions in UTC, right at clock changes, spread by jitter, caught up as its policy says."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from loopline.core.errors import Invalid
from loopline.core.times import to_text
from loopline.usecases.automation.model import Policy

MOST_CAUGHT_UP = 100
MOST_COUNTED = 100_000
IN_TIME_S = 60.0
EVERY_HOUR = 24


class Missed(msgspec.Struct, frozen=True):
    """Occasions from `first` to `last` that nobody attended to; `count` is exact up to MOST_COUNTED."""

    count: int
    first: datetime
    last: datetime


class Attended(msgspec.Struct, frozen=True):
    """What became of the occasions since the last look: which fire, which were missed, and when the next one fires."""

    fire: list[datetime]
    missed: Missed | None
    last: datetime | None
    next_at: datetime


def due(policy: Policy, after: datetime) -> datetime:
    """The next occasion of a schedule after `after`, in UTC, without its jitter."""
    return next(occasions(policy, after))


def occasions(policy: Policy, after: datetime) -> Iterator[datetime]:
    """The occasions of a schedule after `after`, in UTC.

    A schedule of every hour follows UTC. One at certain hours comes once for each of them on the day of a clock change
    too: in the hour that is left out at the moment after it, in the hour that comes twice the first time.
    Invalid for a cron expression or a time zone that does not exist.
    """
    from zoneinfo import ZoneInfo

    from cronsim import CronSim, CronSimError

    cron, zone = str(policy.when.get("cron", "")), str(policy.when.get("timezone") or "UTC")
    after = after.replace(microsecond=0)
    try:
        local = after.astimezone(UTC if zone == "UTC" else ZoneInfo(zone))
        for moment in CronSim(certain_hours(cron), local):
            found = moment.astimezone(UTC)
            if found > after:  # a clock set back shows hours that were there before
                yield found
    except (CronSimError, StopIteration, RuntimeError):
        message = f"The schedule {cron!r} of the policy {policy.name!r} never comes."
        raise Invalid(message, "Write five cron fields.") from None
    except (LookupError, OSError, ValueError):
        raise Invalid(f"{zone!r} is no time zone.", "Write one like Europe/Paris.") from None


def certain_hours(cron: str) -> str:
    """The expression with its stars spelt out when it names certain hours: cronsim then reads it by the clock on the
    wall, and by UTC otherwise."""
    from cronsim import CronSim, CronSimError

    parts = cron.split()
    if len(parts) != 5:
        raise CronSimError("it has five fields")
    if len(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)).hours) == EVERY_HOUR:
        return " ".join([parts[0], "*", *parts[2:]])
    spelt = [part.replace("*", every, 1) for part, every in zip(parts[:2], ("0-59", "0-23"), strict=True)]
    return " ".join([*spelt, *parts[2:]])


def spread(policy: Policy, occasion: datetime) -> timedelta:
    """How much later than its occasion a firing comes: 0 to `jitter`, always the same for the same occasion."""
    if not policy.jitter:
        return timedelta(0)
    drawn = sha256(f"{policy.key} {to_text(occasion)}".encode()).digest()[:8]
    return timedelta(milliseconds=int(policy.jitter * 1000 * int.from_bytes(drawn, "big") / 2**64))


def attended(policy: Policy, since: datetime, now: datetime) -> Attended:
    """What to do at `now` about the occasions after `since`; each is dealt with in its order."""
    first, count, passed = None, 0, deque[datetime](maxlen=MOST_CAUGHT_UP + 1)
    coming = occasions(policy, since)
    while (occasion := next(coming)) + spread(policy, occasion) <= now:
        first, count = first or occasion, count + 1
        passed.append(occasion)
        if count == MOST_COUNTED:  # a clock that stood wrong for years shall not keep anybody busy
            coming = occasions(policy, max(occasion, now - 2 * (passed[-1] - passed[0])))
    fire = _caught_up(policy, list(passed), now)
    missed = None
    if first is not None and count > len(fire):
        rest = [one for one in passed if one not in fire]
        missed = Missed(count - len(fire), first, rest[-1])
    return Attended(fire, missed, passed[-1] if passed else None, occasion + spread(policy, occasion))


def _caught_up(policy: Policy, passed: list[datetime], now: datetime) -> list[datetime]:
    if policy.catch_up == "all":
        return passed[-MOST_CAUGHT_UP:]
    late = passed and now - passed[-1] - spread(policy, passed[-1]) > timedelta(seconds=IN_TIME_S)
    return [] if policy.catch_up == "skip" and late else passed[-1:]


def told(policy: Policy, missed: Missed) -> tuple[str, str]:
    """The cause and the reason of the firing that stands for occasions that were missed."""
    least = "more than " if missed.count >= MOST_COUNTED - MOST_CAUGHT_UP else ""
    many = f"{least}{missed.count} occasion{'' if missed.count == 1 else 's'}"
    stretch = f"from {to_text(missed.first)} to {to_text(missed.last)}"
    why = {
        "skip": "catch_up is skip",
        "one": "catch_up is one: the latest stands for them",
        "all": f"catch_up is all, which takes the newest {MOST_CAUGHT_UP}",
    }[policy.catch_up]
    return f"schedule {policy.when.get('cron')}, {many} {stretch}", f"missed: nobody attended to them, and {why}"

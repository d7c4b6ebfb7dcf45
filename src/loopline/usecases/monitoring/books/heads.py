"""What the index of a book says of each unit of the log. No numpy: an endpoint without news costs next to nothing."""

from __future__ import annotations

import msgspec

FORMAT = 2


class Unit(msgspec.Struct, frozen=True):
    """A day or hour of the log as serving tells it (see `Serving.log_days`)."""

    name: str
    first_ms: int
    end_ms: int
    rows: int
    files: str
    mark: str


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """A unit's rows of one day (hour) of event time. `print` differs when their tallies differ; `delays` counts how long
    truth took, as a Tally has it."""

    start: int
    rows: int
    labelled: int
    print: int
    last_event_ms: int
    last_known_ms: int
    delays: bytes


class Head(msgspec.Struct, frozen=True):
    """A unit of the log as it was read.

    `truth`: the state of the truth that was joined to it. `newest`: time, model and version of its last prediction by wall
    clock. `served`: (event hour, last event time in it, version that made that prediction). `hours`: event hours of its rows
    that have a key, which truth by key may speak of. `matched`: which records of truth (a bit each, in order of receipt) speak of its rows, by part of the truth. `rolled`: its profiles are of days, no longer of
    hours.
    """

    unit: Unit
    truth: str
    newest: tuple[int, str, int | None]
    buckets: tuple[Bucket, ...]
    served: tuple[tuple[int, int, int | None], ...]
    hours: tuple[int, ...]
    matched: dict[int, bytes]
    rolled: bool = False


class Index(msgspec.Struct, frozen=True):
    """All units. Those made under another `basis` must be made anew."""

    basis: str
    heads: tuple[Head, ...] = ()
    format: int = FORMAT
